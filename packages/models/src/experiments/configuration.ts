import type { AttentionKind, AttentionOptions, KernelName } from "../attention/kinds.ts";
import { checkName } from "../known-name.ts";
import { type PresetTask, preset, presets } from "../presets.ts";
import { makesExamples } from "../tasks/open-task.ts";
import type { Evaluation } from "../training/run.ts";
import type { Experiment, ModelPlan, Scale, TaskOptions } from "./experiment.ts";
import { type OptimizerPlan, stretched } from "./optimizer-plan.ts";
import { paperModel } from "./paper-model.ts";

/** Attention of a user's own: the file of a module, and what tells that file from another. */
export interface AttentionModule {
  readonly module: string;
  readonly digest: string;
}

/** A run, as data: all that decides how it goes, whatever runs it. */
export interface Configuration {
  readonly task: { readonly name: string; readonly options: TaskOptions };
  /** What the model is called in tables */
  readonly name: string;
  readonly model: ModelPlan & { readonly attention: AttentionOptions | AttentionModule };
  readonly optimizer: OptimizerPlan;
  readonly steps: number;
  readonly batchSize: number;
  readonly seed: number;
  readonly evaluation: Evaluation;
  /** Where its first parameters are from, where that is another run */
  readonly from?: { readonly path: string; readonly digest: string };
}

/** What may be chosen of an experiment; the experiment's own unless told. */
export interface Choices {
  /** A name of the experiment, a kind, or a module; "fmm" unless told */
  readonly attention?: string | AttentionModule | undefined;
  /** A model of the paper, as in `listops/fmm-2-kernel-band5`: its attention, and what the model is made of */
  readonly preset?: string | undefined;
  readonly bandwidth?: number | undefined;
  readonly kernels?: readonly string[] | undefined;
  /** What the model is made of */
  readonly model?: ModelPlan | undefined;
  readonly options?: TaskOptions | undefined;
  /** Whether examples are read from files even where the task could make them; false unless told */
  readonly files?: boolean | undefined;
  readonly steps?: number | undefined;
  readonly batchSize?: number | undefined;
  /** The largest learning rate */
  readonly learningRate?: number | undefined;
  readonly seed?: number | undefined;
  readonly evaluation?: Partial<Evaluation> | undefined;
  /** The small scale; false unless told */
  readonly quick?: boolean | undefined;
}

const kinds: readonly AttentionKind[] = ["softmax", "linear", "band", "fmm", "fast-weight", "fmm-fast-weight"];

/**
 * Choose a run of an experiment. A run that is shorter warms up for as large a part of it, and is looked at as often.
 *
 * @throws TypeError with the nearest name when one is unknown
 */
export function configure(experiment: Experiment, choices: Choices = {}): Configuration {
  const { quick = false, seed = 0, kernels, bandwidth, files = false } = choices;
  const scale: Scale = quick ? { ...experiment, ...experiment.quick } : experiment;
  const { steps = scale.steps, batchSize = scale.batchSize } = choices;
  const chosen = chooseAttention(experiment, choices);
  const attention: AttentionOptions | AttentionModule =
    "module" in chosen.attention
      ? chosen.attention
      : {
          ...chosen.attention,
          ...(bandwidth !== undefined && { bandwidth }),
          ...(kernels && { kernels: kernels as readonly KernelName[] }),
        };
  const whole = stretched(experiment.optimizer, steps / experiment.steps);
  const { learningRate = (quick ? experiment.quick.peak : undefined) ?? whole.schedule.peak } = choices;
  // The options of an experiment whose task makes its examples are for making them.
  const own = files && makesExamples(experiment.task) ? {} : scale.options;
  const every = Math.max(1, Math.round((scale.evaluation.every * steps) / scale.steps));
  return {
    task: { name: experiment.task, options: { ...own, ...choices.options } },
    name: chosen.name + suffix(bandwidth, kernels),
    model: { ...experiment.model, ...chosen.model, ...(quick && experiment.quick.model), ...choices.model, attention },
    optimizer: { ...whole, schedule: { ...whole.schedule, peak: learningRate } },
    steps,
    batchSize,
    seed,
    evaluation: { ...scale.evaluation, every, ...choices.evaluation },
  };
}

interface Chosen {
  readonly name: string;
  readonly attention: AttentionOptions | AttentionModule;
  readonly model?: ModelPlan;
}

function chooseAttention(experiment: Experiment, { attention, preset: row }: Choices): Chosen {
  if (row !== undefined) {
    const model = preset(row);
    const { task } = presets.find(({ name }) => name === row) as { readonly task: PresetTask };
    const name = task === experiment.task ? row.slice(task.length + 1) : row.replace("/", "-");
    return { name, attention: model.attention, model: task === experiment.task ? paperModel(model) : {} };
  }
  const given = attention ?? "fmm";
  if (typeof given !== "string") return { name: nameOf(given.module), attention: given };
  const { attentions, short, fields } = experiment;
  const known = [...new Set([...Object.keys(attentions), ...Object.keys(short), ...kinds])];
  const name = checkName("experiment", "attention", given, known);
  const own = short[name] ?? name;
  if (Object.hasOwn(attentions, own)) return { name: own, attention: attentions[own] };
  return { name, attention: { ...fields, kind: name as AttentionKind } };
}

function nameOf(module: string): string {
  return module.replace(/^.*[/\\]/, "").replace(/\.[^.]*$/, "");
}

function suffix(bandwidth: number | undefined, kernels: readonly string[] | undefined): string {
  return (bandwidth === undefined ? "" : `-bandwidth-${bandwidth}`) + (kernels ? `-${kernels.join("-")}` : "");
}
