import { type Engine, jit, sum } from "@fmmformer/autodiff";
import type { Layer } from "../layers/layer.ts";
import { accuracy, crossEntropy } from "../losses.ts";
import type { Batch, Task } from "../tasks/task.ts";
import { defaultEngine } from "./default-engine.ts";
import type { StepValues } from "./train.ts";

/** How much of the test split is looked at. */
export interface EvaluateOptions {
  /** Examples in a batch */
  readonly batchSize: number;
  /** At most so many batches; all unless told, which a task that draws without end needs */
  readonly batches?: number;
  /** What runs the model; the wasm engine on one thread unless told */
  readonly engine?: Engine;
}

/**
 * Measure a model on the test split: the loss in nats and the accuracy, every scored label counting the same.
 *
 * @throws RangeError when the test split has no end and `batches` is not told
 */
export function evaluate<Params>(
  model: Layer<Params>,
  params: Params,
  task: Task,
  { batchSize, batches = Infinity, engine = defaultEngine() }: EvaluateOptions,
): StepValues {
  const count = Math.min(batches, Math.ceil(task.examples.test / batchSize));
  if (!Number.isFinite(count))
    throw new RangeError(`evaluate: expected a number of batches for ${task.name}, got none`);
  const measure = jit(
    (p: Params, batch: Batch) => {
      const logits = model.apply(p, batch.tokens, { mask: batch.mask });
      return { loss: crossEntropy(logits, batch), accuracy: accuracy(logits, batch) };
    },
    { engine },
  );
  let [loss, right, scored] = [0, 0, 0];
  for (let at = 0; at < count; at++) {
    const batch = task.batch("test", at, batchSize);
    const measured = measure(params, batch);
    const weight = batch.weights ? sum(batch.weights).item() : batch.labels.size;
    loss += weight * measured.loss.item();
    right += weight * measured.accuracy.item();
    scored += weight;
  }
  return { loss: loss / scored, accuracy: right / scored };
}
