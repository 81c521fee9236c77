import { type Engine, jit, sum } from "@fmmformer/autodiff";
import type { Layer } from "../layers/layer.ts";
import { type Model, prepared, score } from "../model.ts";
import type { Batch, Task } from "../tasks/task.ts";
import { defaultEngine } from "./default-engine.ts";
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
}

/** Measures parameters again and again, compiled once. It yields between batches how many are done, and returns what it measured. */
export type Evaluator<Params> = (params: Params, measured?: Measured) => Generator<number, StepValues>;

/**
 * Measure a model on examples that it was not trained on: the loss in nats and the accuracy, every scored label counting the same.
 *
 * @throws RangeError when the split has no end and `batches` is not told
 */
export function evaluate<Params>(
  model: Layer<Params> | Model<Params>,
  params: Params,
  task: Task,
  options: EvaluateOptions,
): StepValues {
  const measuring = evaluator(model, task, options)(params, options);
  for (;;) {
    const { done, value } = measuring.next();
    if (done) return value;
  }
}

/** Prepare to measure a model: as `evaluate`, where there is something to do between batches or parameters change. */
export function evaluator<Params>(
  model: Layer<Params> | Model<Params>,
  task: Task,
  { batchSize, engine = defaultEngine() }: Pick<EvaluateOptions, "batchSize" | "engine">,
): Evaluator<Params> {
  const measure = jit((p: Params, batch: Batch) => score(model, p, batch), { engine });
  return function* (params, { split = "test", batches = Infinity } = {}) {
    const count = Math.min(batches, Math.ceil(task.examples[split] / batchSize));
    if (!Number.isFinite(count)) {
      throw new RangeError(`evaluate: expected a number of batches for ${task.name}, got none`);
    }
    let [loss, right, scored] = [0, 0, 0];
    for (let at = 0; at < count; at++) {
      const batch = prepared(model, task.batch(split, at, batchSize));
      const measured = measure(params, batch);
      const weight = batch.weights ? sum(batch.weights).item() : batch.labels.size;
      loss += weight * measured.loss.item();
      right += weight * measured.accuracy.item();
      scored += weight;
      yield at + 1;
    }
    return { loss: loss / scored, accuracy: right / scored };
  };
}
