import { createHash } from "node:crypto";
import { existsSync, readFileSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { pathToFileURL } from "node:url";
import { isTensor, type Tensor } from "@fmmformer/autodiff";
import type { Attention } from "../attention/attention.ts";
import type { AttentionModule, Configuration } from "../experiments/configuration.ts";
import { configure } from "../experiments/configuration.ts";
import { experiment } from "../experiments/experiments.ts";
import { modelOptions, type OwnAttention, planOf } from "../experiments/plan-of.ts";
import { fillNamedTensors } from "../files/named-tensors.ts";
import type { FmmformerOptions } from "../fmmformer.ts";
import { pretrainingPlan } from "../pretraining/pretraining-plan.ts";
import type { Task } from "../tasks/task.ts";
import { openCheckpoint } from "../training/checkpoint.ts";
import type { Json } from "../training/differences.ts";
import type { Plan } from "../training/run.ts";
import { runFiles } from "../training/run-folder.ts";
import { firstParams } from "../training/stepper.ts";
import { openNamed } from "./open-named.ts";
import type { TrainFlags } from "./train-flags.ts";

/** A configuration as the command keeps it in a run's folder. */
export interface RunConfiguration extends Configuration {
  /** The folder of the task's files, or, of running text, the file */
  readonly data: string | null;
  /** Whether it trains on the task's own inputs */
  readonly pretraining: boolean;
}

/** What of a configuration decides what may be said of its runs together: all but their seed, their files and how often they are looked at. */
export function decisive(configuration: object): Json {
  const { seed, data, evaluation, ...own } = { pretraining: false, ...configuration } as {
    readonly [name: string]: Json;
  };
  return own;
}

/** A run that is ready to start. */
export interface PlannedRun {
  readonly plan: Plan<unknown>;
  readonly task: Task;
  /** What its model is made of */
  readonly options: FmmformerOptions;
}

/** What the flags of a command choose. */
export function configurationOf(task: string, flags: TrainFlags): RunConfiguration {
  const { attention, preset, bandwidth, kernels, steps, batch, learningRate, seed, quick, set, data, pretraining } =
    flags;
  const { width, layers, heads, hidden, dropout, causal, evaluateEvery, validations, tests } = flags;
  const model = told<number | boolean>({ width, layers, heads, hidden, dropout, causal });
  const evaluation = told({ every: evaluateEvery, batches: validations, tests });
  const configuration = configure(experiment(task), {
    ...{
      preset,
      bandwidth,
      kernels,
      steps,
      batchSize: batch,
      learningRate,
      seed,
      quick,
      model,
      evaluation,
      options: set,
      files: data !== undefined,
    },
    attention: attention !== undefined && isModule(attention) ? moduleOf(attention) : attention,
  });
  const start = flags.from === undefined ? undefined : checkpointOf(flags.from);
  const from = start === undefined ? {} : { from: { path: resolve(start), digest: digestOf(start) } };
  // A table of tokens that has a row for the mask of pretraining keeps it.
  const rows = start === undefined ? 0 : rowsOf(start);
  const known = configuration.model.vocabulary ?? 0;
  const table = rows > known && !pretraining ? { vocabulary: rows } : {};
  return {
    ...{ ...configuration, ...from, model: { ...configuration.model, ...table } },
    data: data === undefined ? null : resolve(data),
    pretraining: pretraining ?? false,
  };
}

function told<Value>(options: { readonly [name: string]: Value | undefined }): { readonly [name: string]: Value } {
  return Object.fromEntries(Object.entries(options).filter((each): each is [string, Value] => each[1] !== undefined));
}

/** A checkpoint, or the best parameters of the run in a folder. */
function checkpointOf(path: string): string {
  const file = existsSync(path) && statSync(path).isDirectory() ? join(path, runFiles.best) : path;
  if (existsSync(file)) return file;
  throw new TypeError(`train: expected a run or a checkpoint to begin with, got ${path}, which is none`);
}

/** Open the task of a configuration and make its model and optimizer. */
export async function planRun(configuration: RunConfiguration, command?: string): Promise<PlannedRun> {
  const { task: chosen, data, pretraining, from } = configuration;
  const task = await openNamed(chosen.name, { data: data ?? undefined, options: chosen.options });
  const own = await ownAttention(configuration.model.attention);
  const plan = pretraining
    ? pretrainingPlan(configuration, task, own)
    : (planOf(configuration, task, own) as unknown as Plan<unknown>);
  const start = from ? { params: startFrom(plan, from.path) } : {};
  return {
    plan: { ...plan, ...start, ...(command !== undefined && { command }), configuration: asJson(configuration) },
    task: plan.task,
    options: pretraining ? { vocabulary: 1, length: 1, classes: 1 } : modelOptions(configuration, task, own),
  };
}

function asJson(x: unknown): Json {
  return JSON.parse(JSON.stringify(x)) as Json;
}

function startFrom(plan: Plan<unknown>, path: string): unknown {
  const first = firstParams(plan.model, plan.seed);
  const { tensors } = openCheckpoint(path);
  const { tree, missing } = fillNamedTensors(first, tensors, "params");
  const all = fillNamedTensors(first, {}, "params").missing;
  if (missing.length === all.length) {
    throw new TypeError(`train: expected a checkpoint that fits this model, got ${path}, in which nothing does`);
  }
  process.stderr.write(
    `${all.length - missing.length} tensors are those of ${path}; new: ${missing.join(", ") || "none"}\n`,
  );
  return tree;
}

const embedding = "params.encoder.embedding.tokens.table";

function rowsOf(path: string): number {
  const table: Tensor | undefined = openCheckpoint(path).tensors[embedding];
  return isTensor(table) ? table.shape[0] : 0;
}

export function isModule(attention: string): boolean {
  return /\.[cm]?[jt]s$/.test(attention);
}

function moduleOf(path: string): AttentionModule {
  if (!existsSync(path)) throw new TypeError(`attention: expected a module, got ${path}, which is not there`);
  return { module: resolve(path), digest: digestOf(path) };
}

function digestOf(path: string): string {
  return createHash("sha256").update(readFileSync(path)).digest("hex").slice(0, 16);
}

async function ownAttention(attention: Configuration["model"]["attention"]): Promise<OwnAttention | undefined> {
  if (!("module" in attention)) return undefined;
  const found = (await import(pathToFileURL(attention.module).href)) as { attention?: unknown; default?: unknown };
  const own = found.attention ?? found.default;
  const whole = typeof own === "object" && own !== null && "init" in own && "apply" in own;
  if (whole || typeof own === "function") return own as Attention;
  throw new TypeError(
    `attention: expected ${attention.module} to export attention: { init, apply }, got another module`,
  );
}
