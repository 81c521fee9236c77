import type { Tensor } from "@fmmformer/autodiff";
import type { Call, Layer } from "./layers/layer.ts";
import { accuracy, crossEntropy } from "./losses.ts";
import type { Batch } from "./tasks/task.ts";

/** How a model did on a batch: scalars, the loss in nats and the share of labels that it named, 0 … 1. */
export interface Scores {
  readonly loss: Tensor;
  readonly accuracy: Tensor;
}

/** A layer that says how well it does, where that is not the cross-entropy of its logits. */
export interface Model<Params> extends Layer<Params> {
  score(params: Params, batch: Batch, call?: Call): Scores;
  /**
   * Find out about a batch what makes it cheaper to score, outside of the compiled step: what depends on the numbers of its labels. The scores
   * are those of the batch as it was.
   */
  prepare?(batch: Batch): Batch;
}

/** A batch as its model would have it. */
export function prepared<Params>(model: Layer<Params> | Model<Params>, batch: Batch): Batch {
  return ("prepare" in model && model.prepare?.(batch)) || batch;
}

/** How well a layer does on a batch: what it says itself, or else by its logits. */
export function score<Params>(
  model: Layer<Params> | Model<Params>,
  params: Params,
  batch: Batch,
  { key = null }: Pick<Call, "key"> = {},
): Scores {
  if ("score" in model) return model.score(params, batch, { mask: batch.mask, key });
  const logits = model.apply(params, batch.tokens, { mask: batch.mask, key });
  return { loss: crossEntropy(logits, batch), accuracy: accuracy(logits, batch) };
}
