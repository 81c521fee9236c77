import { argmax, cast, div, equal, greater, mean, mul, sum, type Tensor, where } from "@fmmformer/autodiff";
import { meanCrossEntropy } from "@fmmformer/kernels";

/** What a model is asked: the class of each row of logits, and how much each counts. */
export interface Target {
  /** int32 (…) classes */
  readonly labels: Tensor;
  /** (…) ≥ 0; absent or null where all count the same */
  readonly weights?: Tensor | null;
}

/**
 * The loss of a classifier or a token labeller, in nats:
 *
 *     y = Σ weights · cross-entropy / Σ weights
 *
 * @param logits - (…, classes)
 * @returns a scalar; 0 where nothing counts
 */
export function crossEntropy(logits: Tensor, { labels, weights = null }: Target): Tensor {
  return meanCrossEntropy(logits, labels, { weights });
}

/**
 * The share of labels that have the largest logit, by weight.
 *
 * @param logits - (…, classes)
 * @returns a scalar; 0 where nothing counts
 */
export function accuracy(logits: Tensor, { labels, weights = null }: Target): Tensor {
  const right = cast(equal(argmax(logits, { axis: -1 }), labels), "float32");
  if (!weights) return mean(right);
  const total = sum(weights);
  return div(sum(mul(right, weights)), where(greater(total, 0), total, 1));
}
