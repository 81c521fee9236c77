import { existsSync, rmSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import type { Engine, Scalar, Tensor } from "@fmmformer/autodiff";
import { writeWhole } from "../files/write-whole.ts";
import type { Layer } from "../layers/layer.ts";
import type { Model } from "../model.ts";
import type { Optimizer } from "../optimizers/optimizer.ts";
import { type Schedule, valueAt } from "../optimizers/schedules.ts";
import { parameterCount } from "../parameter-count.ts";
import type { AttentionMap } from "../report/attention-figure.ts";
import { renderReport } from "../report/report.ts";
import { runReport } from "../report/run-report.ts";
import { sequencesOf, type Task } from "../tasks/task.ts";
import { readCheckpoint, writeCheckpoint } from "./checkpoint.ts";
import { defaultEngine } from "./default-engine.ts";
import type { Json } from "./differences.ts";
import { checkSplit, evaluator } from "./evaluate.ts";
import { lockFolder } from "./lock-folder.ts";
import { type MetricsLine, openMetrics, readMetrics } from "./metrics.ts";
import { writeOrTell } from "./run-error.ts";
import { beginFolder, checkSpace, type Existing, goesOn, type RunResult, readResult, runFiles } from "./run-folder.ts";
import { type Stepper, type StepValues, stepper, type TrainState } from "./stepper.ts";
import { taskFacts } from "./task-facts.ts";

/** How a model is looked at while it is trained. */
export interface Evaluation {
  /** After so many steps each, and after the last, the validation split is measured */
  readonly every: number;
  /** Examples in a batch */
  readonly batchSize: number;
  /** At most so many batches of the validation split */
  readonly batches: number;
  /** At most so many batches of the test split, once at the end; all unless told */
  readonly tests?: number;
  /** What makes parameters the best: the least "loss" unless told, or the most "accuracy" */
  readonly by?: "loss" | "accuracy";
}

/** Everything that training needs, made. */
export interface Plan<Params> {
  readonly task: Task;
  readonly model: Layer<Params> | Model<Params>;
  /** What the model is called in tables */
  readonly name: string;
  readonly optimizer: Optimizer;
  /** That of the optimizer, to be shown */
  readonly learningRate: Scalar | Schedule;
  readonly steps: number;
  readonly batchSize: number;
  readonly seed: number;
  readonly evaluation: Evaluation;
  /** Parameters to begin with; the first ones of the seed unless told */
  readonly params?: Params;
  /** All that decides how the run goes, as data: it is kept in checkpoints, and only the same goes on from them */
  readonly configuration: Json;
  /** What was typed to run it, for the report */
  readonly command?: string;
  /** What trained parameters attend to, for the report */
  readonly maps?: (params: Params) => readonly AttentionMap[];
}

/** What happened. */
export type RunEvent =
  | { readonly kind: "start"; readonly step: number; readonly parameters: number }
  | ({ readonly kind: "step"; readonly step: number } & StepValues)
  | ({ readonly kind: "validation"; readonly step: number; readonly best: boolean } & StepValues)
  | ({ readonly kind: "test"; readonly step: number } & StepValues)
  | { readonly kind: "measuring"; readonly split: "validation" | "test"; readonly done: number };

export interface RunOptions {
  /** The folder of the run; made where it is missing */
  readonly out: string;
  /** What to do about a run that is there: "refuse" unless told, "resume" it where it ended, or begin "anew" */
  readonly existing?: Existing;
  /** Stops the run behind a step, with a checkpoint */
  readonly signal?: AbortSignal;
  /** Stops it likewise behind this step, an integer ≥ 1; it goes to its end unless told */
  readonly until?: number;
  /** What runs the model; the wasm engine on one thread unless told. It changes no result */
  readonly engine?: Engine;
  readonly onEvent?: (event: RunEvent) => void;
}

/** How a run ended. */
export interface Ran<Params> {
  /** null where it was stopped before */
  readonly result: RunResult | null;
  /** Steps made */
  readonly step: number;
  /** The best ones of a finished run, the last ones of a stopped one */
  readonly params: Params;
  readonly metrics: readonly MetricsLine[];
}

/** The most lines of steps that metrics keep. */
const mostLines = 10_000;
/** Seconds after which a checkpoint is written, evaluation or not */
const checkpointAfter = 600;

/**
 * Train a model as a run, which leaves a folder: metrics.jsonl and event files that tell TensorBoard the same, the last checkpoint, the best
 * parameters on the validation split, a report, and at last result.json with what these make of the test split.
 *
 * A run that was stopped, or killed, goes on from its last checkpoint and ends with the same bits as an unbroken one. One that is finished
 * gives its result again. Nothing of an older run is removed before this one is known to start.
 *
 * @throws RunError when the folder cannot be written, has too little space, holds another run or is in use by one / CheckpointError when
 *   what it holds is damaged, or of another configuration or other data / RangeError when a count is no integer ≥ 1, a split has no
 *   examples, or the loss is no longer a number
 */
export async function run<Params>(plan: Plan<Params>, options: RunOptions): Promise<Ran<Params>> {
  checkCounts(plan, options.until ?? plan.steps);
  for (const split of ["train", "validation", "test"] as const) checkSplit("run", plan.task, split);
  const unlock = lockFolder(options.out);
  try {
    return await runAlone(plan, options);
  } finally {
    unlock();
  }
}

async function runAlone<Params>(plan: Plan<Params>, options: RunOptions): Promise<Ran<Params>> {
  const {
    out,
    existing = "refuse",
    signal,
    until = plan.steps,
    engine = defaultEngine(),
    onEvent = () => {},
  } = options;
  const { task, model, name, optimizer, steps, batchSize, seed, evaluation, configuration } = plan;
  const path = (file: keyof typeof runFiles): string => join(out, runFiles[file]);
  const data = taskFacts(task);
  const resumed = goesOn(out, configuration, existing);
  const first: TrainState<Params> | undefined = plan.params && {
    params: plan.params,
    optimizer: optimizer.init(plan.params),
    step: 0,
  };
  const begin = (start: TrainState<Params> | undefined): Stepper<Params> =>
    stepper(model, task, { optimizer, batchSize, seed, engine, ...(start && { start }) });
  let training = begin(first);
  const start = training.state();
  const parameters = parameterCount(start.params);
  const finished = resumed ? readResult(out) : null;
  if (finished) {
    const params = bestParams(start.params);
    const ran = { result: finished, step: finished.steps, params, metrics: readMetrics(path("metrics")) };
    return existsSync(path("report")) ? ran : reported(ran);
  }
  checkSpace(out, start);
  if (!resumed) beginFolder(out, configuration);
  const kept = existsSync(path("checkpoint"))
    ? readCheckpoint(path("checkpoint"), { ...start, configuration, data })
    : null;
  if (kept) training = begin(kept.state);

  let step = kept?.state.step ?? 0;
  let best = kept?.best ?? null;
  let seconds = kept?.seconds ?? 0;
  const metrics = openMetrics(path("metrics"), step);
  let evaluated = metrics.lines.findLast(({ kind }) => kind === "validation")?.step ?? 0;
  let saved = { step, seconds };
  const stride = Math.ceil(steps / mostLines);
  const tokens = batchSize * task.length * sequencesOf(task);
  const evaluating = evaluator(model, task, { batchSize: evaluation.batchSize, engine });
  onEvent({ kind: "start", step, parameters });

  function write(file: "checkpoint" | "best", state: TrainState<Params>): void {
    writeOrTell(path(file), () => writeCheckpoint(path(file), { state, configuration, best, seconds, data }));
  }

  function save(): void {
    metrics.flush();
    write("checkpoint", training.state());
    saved = { step, seconds };
  }

  function bestParams(like: Params): Params {
    return readCheckpoint(path("best"), { params: like, optimizer: null, configuration, data }).state.params;
  }

  async function reported(ran: Ran<Params>): Promise<Ran<Params>> {
    const facts = { task: task.name, name, parameters, steps, command: plan.command ?? "run" };
    const maps = plan.maps?.(ran.params) ?? [];
    const page = await renderReport(runReport(facts, { ...ran, maps }));
    writeOrTell(path("report"), () => writeWhole(path("report"), page));
    return ran;
  }

  /** null where it was told to stop */
  async function measure(params: Params, split: "validation" | "test", batches: number): Promise<StepValues | null> {
    const measuring = evaluating(params, { split, batches });
    for (;;) {
      await setImmediate();
      if (signal?.aborted) return null;
      const { done, value } = measuring.next();
      if (done) {
        if (Number.isFinite(value.loss)) return value;
        throw new RangeError(`run: expected a finite ${split} loss, got ${value.loss}; lower the learning rate`);
      }
      onEvent({ kind: "measuring", split, done: value });
    }
  }

  async function validate(): Promise<void> {
    const { params } = training.state();
    const values = await measure(params, "validation", evaluation.batches);
    if (!values) return;
    const better = best === null || betterBy(evaluation.by ?? "loss", values, best);
    if (better) {
      best = { step, ...values };
      write("best", { params, optimizer: null, step });
    }
    save();
    // Behind the checkpoint, which knows the best: a run that is killed before this line measures again.
    metrics.add({ kind: "validation", step, ...values });
    evaluated = step;
    onEvent({ kind: "validation", step, best: better, ...values });
  }

  function advance(): void {
    const began = performance.now();
    const values = training.next();
    const taken = (performance.now() - began) / 1000;
    step += 1;
    seconds += taken;
    if (step % stride === 0 || step === steps) {
      const learningRate = scalarOf(valueAt(plan.learningRate, step - 1));
      metrics.add({ kind: "step", step, ...values, learningRate, tokensPerSecond: tokens / taken, seconds });
    }
    onEvent({ kind: "step", step, ...values });
  }

  const due = (): boolean => step > evaluated && (step % evaluation.every === 0 || step === steps);
  while (!signal?.aborted && (due() || step < Math.min(until, steps))) {
    if (due()) await validate();
    else advance();
    if (seconds - saved.seconds > checkpointAfter) save();
    await setImmediate();
  }

  async function unfinished(params: Params): Promise<Ran<Params>> {
    if (step > saved.step) save();
    return reported({ result: null, step, params, metrics: metrics.lines });
  }

  if (best === null || due() || step < steps) return unfinished(training.state().params);
  const params = bestParams(training.state().params);
  const test = await measure(params, "test", evaluation.tests ?? Infinity);
  if (!test) return unfinished(params);
  metrics.add({ kind: "test", step, ...test });
  onEvent({ kind: "test", step, ...test });
  const result: RunResult = {
    task: task.name,
    model: name,
    seed,
    parameters,
    steps,
    best,
    test,
    seconds,
    tokensPerSecond: medianRate(metrics.lines),
    peakMemory: process.resourceUsage().maxRSS * 1024,
    configuration,
  };
  // A page of when it was stopped would stay where the new one fails.
  rmSync(path("report"), { force: true });
  writeOrTell(path("result"), () => writeWhole(path("result"), `${JSON.stringify(result, null, 2)}\n`));
  return reported({ result, step, params, metrics: metrics.lines });
}

function checkCounts<Params>({ steps, batchSize, evaluation }: Plan<Params>, until: number): void {
  const { every, batches, batchSize: evaluationBatchSize, tests = 1 } = evaluation;
  for (const [name, value] of Object.entries({ steps, until, batchSize, every, batches, evaluationBatchSize, tests })) {
    if (!Number.isInteger(value) || value < 1) {
      throw new RangeError(`run: expected ${name} to be an integer ≥ 1, got ${value}`);
    }
  }
}

function betterBy(by: "loss" | "accuracy", now: StepValues, best: StepValues): boolean {
  return by === "loss" ? now.loss < best.loss : now.accuracy > best.accuracy;
}

function scalarOf(x: Scalar): number {
  return typeof x === "number" ? x : (x as Tensor).item();
}

function medianRate(lines: readonly MetricsLine[]): number {
  const rates = lines.flatMap((line) => (line.kind === "step" ? [line.tokensPerSecond] : [])).sort((a, b) => a - b);
  return rates[rates.length >> 1];
}
