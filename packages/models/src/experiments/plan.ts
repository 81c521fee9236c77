import { resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { random } from "@fmmformer/autodiff";
import type { Attention } from "../attention/attention.ts";
import type { AttentionOptions, KernelName } from "../attention/kinds.ts";
import { fillNamedTensors, type NamedTensors } from "../files/named-tensors.ts";
import { type FmmformerOptions, fmmformer } from "../fmmformer.ts";
import { checkName } from "../known-name.ts";
import type { Layer } from "../layers/layer.ts";
import type { Model } from "../model.ts";
import { greyLabeller } from "../pretraining/grey-labeller.ts";
import { maskedTask } from "../pretraining/masked-task.ts";
import { openTask } from "../tasks/open-task.ts";
import type { Task } from "../tasks/task.ts";
import type { Json } from "../training/differences.ts";
import type { Plan } from "../training/run.ts";
import { optimizerOf, type Scale } from "./experiment.ts";
import { experimentOf } from "./experiments.ts";

/** What is chosen of an experiment; the rest is its own. */
export interface Choices {
  readonly task: string;
  /** One of the experiment's by name, or the path of a module that exports `attention`: { init, apply } */
  readonly attention?: string | undefined;
  readonly bandwidth?: number | undefined;
  readonly kernels?: readonly string[] | undefined;
  readonly width?: number | undefined;
  readonly layers?: number | undefined;
  readonly heads?: number | undefined;
  readonly hidden?: number | undefined;
  readonly steps?: number | undefined;
  readonly batchSize?: number | undefined;
  readonly learningRate?: number | undefined;
  /** 0 unless told */
  readonly seed?: number | undefined;
  /** Minutes rather than the paper's length; false unless told */
  readonly quick?: boolean | undefined;
  /** The folder of the task's files */
  readonly data?: string | undefined;
  /** Options of the task */
  readonly numbers?: { readonly [name: string]: number };
  /** Train on the task's own inputs, some of them hidden; false unless told */
  readonly pretraining?: boolean | undefined;
}

/** A plan, and what went into it. */
export interface Planned {
  readonly plan: Plan<unknown>;
  readonly task: Task;
  readonly model: Layer<unknown> | Model<unknown>;
  readonly options: FmmformerOptions;
}

const moduleName = /\.[cm]?[jt]s$/;

/**
 * Make what training needs of an experiment and what is chosen of it.
 *
 * @throws TypeError with the nearest name when a task or attention is unknown, or a module has no attention
 */
export async function planOf(
  choices: Choices,
  options: { readonly onProgress?: (read: number, size: number) => void; readonly command?: string } = {},
): Promise<Planned> {
  const experiment = experimentOf(choices.task);
  const scale = choices.quick ? experiment.quick : experiment.full;
  const { seed = 0, attention: name = experiment.attention, pretraining = false } = choices;
  const attention = await attentionOf(name, experiment.attentions, choices);
  // The numbers of a scale are those of a task that makes its examples.
  const numbers = { ...(choices.data === undefined && scale.task), ...choices.numbers };
  const own = await openTask(choices.task, { dir: choices.data, numbers, onProgress: options.onProgress });
  const hides = experiment.pretraining;
  if (pretraining && !hides) {
    throw new TypeError(`pretrain: expected a task whose inputs can be hidden, got ${choices.task}; train on it`);
  }
  const task = pretraining && hides ? maskedTask(own, { share: hides.share, seed }) : own;
  const { steps = scale.steps, batchSize = scale.batchSize } = choices;
  const rule = scaled(scale.optimizer, choices.learningRate);
  const sizes = { width: choices.width, layers: choices.layers, heads: choices.heads, hidden: choices.hidden };
  const model: FmmformerOptions = {
    ...scale.model,
    ...defined(sizes),
    ...{ vocabulary: tableOf(choices.task, own), length: Math.max(own.length, tableLength[choices.task] ?? 0) },
    ...{ classes: task.classes, kind: task.kind, causal: own.causal, attention },
  };
  const grey = pretraining && hides?.loss === "l1";
  const layer = grey ? greyLabeller(greyOptions(model, task)) : fmmformer(model);
  const evaluation = { ...scale.evaluation, every: Math.min(scale.evaluation.every, steps) };
  const configuration = {
    ...{ task: choices.task, attention: name, seed, steps, batchSize, pretraining, quick: choices.quick ?? false },
    ...{ data: choices.data ?? null, numbers, optimizer: rule, evaluation },
    ...{ model: { ...model, attention: "apply" in attention ? name : attention } },
    choices,
  };
  const { optimizer, learningRate } = optimizerOf(rule, steps);
  const plan: Plan<unknown> = {
    ...{
      task,
      model: layer as Layer<unknown>,
      name: nameOf(name),
      optimizer,
      learningRate,
      steps,
      batchSize,
      seed,
      evaluation,
    },
    configuration: JSON.parse(JSON.stringify(configuration)) as Json,
    ...(options.command !== undefined && { command: options.command }),
  };
  return { plan, task, model: layer as Layer<unknown>, options: model };
}

/** An attention's name as tables and folders have it: of a module the name of its file. */
export function nameOf(attention: string): string {
  return moduleName.test(attention) ? (attention.split(/[\\/]/).at(-1) as string).replace(moduleName, "") : attention;
}

/**
 * The first parameters of a plan, with those of another model in their place where names and shapes agree. Of a larger table of tokens the
 * first rows are taken: the last was the mask.
 */
export function transferred(
  { plan, model }: Pick<Planned, "plan" | "model">,
  tensors: NamedTensors,
): { readonly params: unknown; readonly taken: number; readonly missing: readonly string[] } {
  const [key] = random.split(random.key(plan.seed));
  const first = model.init(key);
  const { tree, missing } = fillNamedTensors(first, tensors, "params");
  const all = fillNamedTensors(first, {}, "params").missing.length;
  return { params: tree, taken: all - missing.length, missing };
}

async function attentionOf(
  name: string,
  known: { readonly [name: string]: AttentionOptions },
  { task, bandwidth, kernels }: Choices,
): Promise<AttentionOptions | Attention> {
  if (moduleName.test(name)) {
    const { attention } = (await import(pathToFileURL(resolve(name)).href)) as { readonly attention?: Attention };
    if (typeof attention?.apply === "function" && typeof attention.init === "function") return attention;
    throw new TypeError(`attention: expected ${name} to export attention with init and apply, got another module`);
  }
  const found = known[checkName("train", `attention of ${task}`, name, Object.keys(known))];
  return { ...found, ...defined({ bandwidth }), ...(kernels && { kernels: kernels as KernelName[] }) };
}

/** The presets' tables of tokens and places are larger than their tasks; one row more than there are ids is for the mask of pretraining. */
function tableOf(task: string, { vocabulary }: Task): number {
  return (
    ({ listops: 32, text: 512, retrieval: 512, image: 512, pathfinder: 512 } as Record<string, number>)[task] ??
    vocabulary + maskRows(task)
  );
}

function maskRows(task: string): number {
  return experimentOf(task).pretraining ? 1 : 0;
}

const tableLength: { readonly [task: string]: number } = { text: 4096 };

function greyOptions(model: FmmformerOptions, { classes }: Task): Parameters<typeof greyLabeller>[0] {
  const {
    width = 64,
    heads = 2,
    layers = 2,
    hidden = 4 * width,
    attention,
    kind: _,
    classes: __,
    pooling: ___,
    ...rest
  } = model;
  return { ...rest, width, heads, layers, hidden, attention: attention as AttentionOptions, levels: classes };
}

function scaled(rule: Scale["optimizer"], rate: number | undefined): Scale["optimizer"] {
  if (rate === undefined) return rule;
  return rule.kind === "radam-stairs" ? { ...rule, start: rate } : { ...rule, peak: rate };
}

type Defined<T> = { [Name in keyof T]?: Exclude<T[Name], undefined> };

function defined<T extends object>(options: T): Defined<T> {
  return Object.fromEntries(Object.entries(options).filter(([, value]) => value !== undefined)) as Defined<T>;
}
