import type { Configuration } from "../experiments/configuration.ts";
import { modelOptions, type OwnAttention, planOf } from "../experiments/plan-of.ts";
import type { Layer } from "../layers/layer.ts";
import type { Task } from "../tasks/task.ts";
import type { Plan } from "../training/run.ts";
import { greyLabeller } from "./grey-labeller.ts";
import { maskedTask } from "./masked-task.ts";
import { nextTokenTask } from "./next-token-task.ts";

/** How much of a task's inputs is hidden, and how what is said of it is scored. */
export interface PretrainingRule {
  readonly share: number;
  /** Images are greys as numbers, the rest is classes */
  readonly loss: "cross-entropy" | "l1";
}

const rules: { readonly [task: string]: PretrainingRule } = {
  listops: { share: 0.1, loss: "cross-entropy" },
  text: { share: 0.15, loss: "cross-entropy" },
  retrieval: { share: 0.15, loss: "cross-entropy" },
  image: { share: 0.5, loss: "l1" },
  pathfinder: { share: 0.5, loss: "l1" },
  digits: { share: 0.5, loss: "l1" },
};

/**
 * Plan training of a configuration's encoder on the task's own inputs: some are hidden, or, where the model is causal, the next one is asked
 * for.
 *
 * @throws TypeError when there is no rule for the task
 */
export function pretrainingPlan(configuration: Configuration, task: Task, own?: OwnAttention): Plan<unknown> {
  const { name } = configuration.task;
  if (configuration.model.causal ?? task.causal) return nextTokenPlan(configuration, task, own);
  const rule = rules[name];
  if (!rule) {
    throw new TypeError(`pretrain: expected one of ${Object.keys(rules).join(", ")}, got ${name}; train on it instead`);
  }
  const masked = maskedTask(task, { share: rule.share, seed: configuration.seed });
  const { kind: _, classes: __, pooling: ___, vocabulary = 0, ...model } = configuration.model;
  const size = Math.max(vocabulary, masked.vocabulary);
  const whole = { ...configuration, model: { ...model, vocabulary: size } };
  const plan = planOf(whole, masked, own) as Plan<unknown>;
  if (rule.loss === "cross-entropy") return plan;
  const { kind: ____, classes: levels, attention, ...options } = modelOptions(whole, masked, own);
  const { width = 64, heads = 2, layers = 2, hidden = 4 * width } = options;
  const sizes = { width, heads, layers, hidden, levels };
  const grey = greyLabeller({ ...options, ...sizes, attention: attention as never });
  const { maps: _____, ...rest } = plan;
  return { ...rest, model: grey as Layer<unknown> };
}

function nextTokenPlan(configuration: Configuration, task: Task, own?: OwnAttention): Plan<unknown> {
  const inputs = nextTokenTask(task);
  const { kind: _, classes: __, pooling: ___, ...model } = configuration.model;
  return planOf(
    { ...configuration, model: { ...model, ...(model.vocabulary && { classes: model.vocabulary }) } },
    inputs,
    own,
  ) as Plan<unknown>;
}
