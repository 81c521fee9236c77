import { type Engine, jit, sum } from "@fmmformer/autodiff";
import type { Layer } from "../layers/layer.ts";
import { type Model, prepared, score } from "../model.ts";
import type { Batch, Task } from "../tasks/task.ts";
import { defaultEngine } from "./default-engine.ts";
import type { StepValues } from "./stepper.ts";

/** Which examples are looked at, and how many. */
export interface EvaluateOptions {
  /** Examples in a batch */
  readonly batchSize: number;
  /** "test" unless told */
  readonly split?: "validation" | "test";
  /** At most so many batches; all unless told, which a task that draws without end needs */
  readonly batches?: number;
  /** What runs the model; the wasm engine on one thread unless told */
  readonly engine?: Engine;
}

/**
 * Measure a model on examples that it was not trained on: the loss in nats and the accuracy, every scored label counting the same.
 *
 * @throws RangeError when the split has no end and `batches` is not told
 */
export function evaluate<Params>(
  model: Layer<Params> | Model<Params>,
  params: Params,
  task: Task,
  { batchSize, split = "test", batches = Infinity, engine = defaultEngine() }: EvaluateOptions,
): StepValues {
  const count = Math.min(batches, Math.ceil(task.examples[split] / batchSize));
  if (!Number.isFinite(count))
    throw new RangeError(`evaluate: expected a number of batches for ${task.name}, got none`);
  const measure = jit((p: Params, batch: Batch) => score(model, p, batch), { engine });
  let [loss, right, scored] = [0, 0, 0];
  for (let at = 0; at < count; at++) {
    const batch = prepared(model, task.batch(split, at, batchSize));
    const measured = measure(params, batch);
    const weight = batch.weights ? sum(batch.weights).item() : batch.labels.size;
    loss += weight * measured.loss.item();
    right += weight * measured.accuracy.item();
    scored += weight;
  }
  return { loss: loss / scored, accuracy: right / scored };
}
