import { type AsyncEngine, type Engine, jit, sum } from "@fmmformer/autodiff";
import type { Layer } from "../layers/layer.ts";
import { type Model, prepared, type Scores, score } from "../model.ts";
import type { Batch, Split, Task } from "../tasks/task.ts";
import { defaultEngine } from "./default-engine.ts";
import { needed, type Routine, settled } from "./settled.ts";
import type { StepValues } from "./stepper.ts";

/** Which examples are looked at, and how many. */
export interface Measured {
  /** "test" unless told */
  readonly split?: "validation" | "test";
  /** At most so many batches; all unless told, which a task that draws without end needs */
  readonly batches?: number;
}

/** Which examples are looked at, and by what. */
export interface EvaluateOptions extends Measured {
  /** Examples in a batch */
  readonly batchSize: number;
  /** What runs the model; the wasm engine on one thread unless told */
  readonly engine?: Engine;
  /** Called behind each batch with how many are done */
  readonly onBatch?: (done: number) => void;
}

/** Measures parameters again and again, compiled once. It yields between batches how many are done, and returns what it measured. */
export type Evaluator<Params> = (params: Params, measured?: Measured) => Generator<number, StepValues>;

/**
 * Measure a model on examples that it was not trained on: the loss in nats and the accuracy, every scored label counting the same.
 *
 * @returns with an asynchronous engine a promise
 * @throws RangeError when the split has no examples, or no end where `batches` is not told
 */
export function evaluate<Params>(
  model: Layer<Params> | Model<Params>,
  params: Params,
  task: Task,
  options: Omit<EvaluateOptions, "engine"> & { readonly engine: AsyncEngine },
): Promise<StepValues>;
export function evaluate<Params>(
  model: Layer<Params> | Model<Params>,
  params: Params,
  task: Task,
  options: EvaluateOptions,
): StepValues;
export function evaluate<Params>(
  model: Layer<Params> | Model<Params>,
  params: Params,
  task: Task,
  options: Omit<EvaluateOptions, "engine"> & { readonly engine?: Engine | AsyncEngine },
): StepValues | Promise<StepValues> {
  return settled(measurer(model, task, options)(params, options));
}

/** Prepare to measure a model: as `evaluate`, where there is something to do between batches or parameters change. */
export function evaluator<Params>(
  model: Layer<Params> | Model<Params>,
  task: Task,
  options: Pick<EvaluateOptions, "batchSize" | "engine">,
): Evaluator<Params> {
  const measure = measurer(model, task, options);
  return function* (params, measured = {}) {
    const measuring = measure(params, measured);
    let next = measuring.next();
    for (let done = 1; !next.done; done++) {
      yield done;
      next = measuring.next(next.value);
    }
    return next.value;
  };
}

/**
 * See that a split has examples.
 *
 * @throws RangeError when it has none
 */
export function checkSplit(op: string, { name, examples }: Task, split: Split): void {
  if (examples[split] > 0) return;
  throw new RangeError(
    `${op}: expected at least one ${split} example of ${name}, got none; ` +
      `give the task another option ${split}, or data that has some`,
  );
}

/** Measures batch by batch: it yields what the engine makes of each. */
function measurer<Params>(
  model: Layer<Params> | Model<Params>,
  task: Task,
  options: Pick<EvaluateOptions, "batchSize" | "onBatch"> & { readonly engine?: Engine | AsyncEngine },
): (params: Params, measured: Measured) => Routine<StepValues> {
  const { batchSize, engine = defaultEngine(), onBatch } = options;
  // Where it is synchronous there is no promise, which `settled` sees.
  const measure = jit((p: Params, batch: Batch) => score(model, p, batch), { engine: engine as AsyncEngine });
  return function* (params, { split = "test", batches = Infinity }) {
    checkSplit("evaluate", task, split);
    const count = Math.min(batches, Math.ceil(task.examples[split] / batchSize));
    if (!Number.isFinite(count)) {
      throw new RangeError(`evaluate: expected a number of batches for ${task.name}, got none`);
    }
    let [loss, right, scored] = [0, 0, 0];
    for (let at = 0; at < count; at++) {
      const batch = prepared(model, task.batch(split, at, batchSize));
      const measured = yield* needed(measure(params, batch) as Scores | Promise<Scores>);
      const weight = batch.weights ? sum(batch.weights).item() : batch.labels.size;
      loss += weight * measured.loss.item();
      right += weight * measured.accuracy.item();
      scored += weight;
      onBatch?.(at + 1);
    }
    return { loss: loss / scored, accuracy: right / scored };
  };
}
