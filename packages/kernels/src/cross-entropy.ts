import {
  customVjp,
  DTypeError,
  div,
  expandDims,
  greater,
  iota,
  logSoftmax,
  mean,
  mul,
  neg,
  oneHot,
  softmax,
  squeeze,
  sub,
  sum,
  type Tensor,
  take,
  takeAlongAxis,
  where,
} from "@fmmformer/autodiff";
import { expectShape } from "./expect-shape.ts";

/**
 * Cross-entropy of each row's softmax with its label, in nats:
 *
 *     y = ln Σ_c e^{x_c} − x_label
 *
 * Logits are shifted by the largest of a row, so that nothing overflows and large ones keep their digits.
 *
 * @param logits - (…, classes)
 * @param labels - int32 (…), from 0 to classes − 1
 * @returns (…)
 * @throws ShapeError when the leading sizes differ, DTypeError when labels are not int32, RangeError when one is no class
 */
export function softmaxCrossEntropy(logits: Tensor, labels: Tensor): Tensor {
  expectShape("softmaxCrossEntropy", "labels", labels, logits.shape.slice(0, -1), {});
  if (labels.dtype !== "int32") {
    throw new DTypeError(`softmaxCrossEntropy: expected int32 labels, got ${labels.dtype}; cast them first`);
  }
  return crossEntropyOp(logits, labels);
}

const crossEntropyOp = customVjp({
  name: "softmaxCrossEntropy",
  kernel: true,
  forward(logits: Tensor, labels: Tensor) {
    const known = take(iota(logits.shape[logits.shape.length - 1]), labels); // a label that is no class throws here
    const losses = neg(squeeze(takeAlongAxis(logSoftmax(logits), expandDims(known, -1)), -1)); // (…)
    return [losses, { logits, labels }];
  },
  pullback({ logits, labels }, g) {
    const target = oneHot(labels, logits.shape[logits.shape.length - 1], { dtype: logits.dtype });
    return [mul(expandDims(g, -1), sub(softmax(logits), target)), null];
  },
  leading: [1, 0],
});

/**
 * Average the cross-entropies of a batch:
 *
 *     y = Σ weights · cross-entropy / Σ weights
 *
 * Rows of weight 0 count nothing, whatever their logits are; where all do, y is 0.
 *
 * @param logits - (…, classes)
 * @param labels - int32 (…), from 0 to classes − 1
 * @param options.weights - (…) ≥ 0; default: all 1
 * @returns a scalar
 * @throws ShapeError when the leading sizes differ, DTypeError when labels are not int32, RangeError when one is no class
 */
export function meanCrossEntropy(
  logits: Tensor,
  labels: Tensor,
  options: { readonly weights?: Tensor | null } = {},
): Tensor {
  const { weights = null } = options;
  if (!weights) return mean(softmaxCrossEntropy(logits, labels));
  expectShape("meanCrossEntropy", "weights", weights, labels.shape, {});
  const counted = greater(weights, 0);
  const losses = softmaxCrossEntropy(where(expandDims(counted, -1), logits, 0), labels);
  const total = sum(weights);
  return div(sum(mul(losses, weights)), where(greater(total, 0), total, 1));
}
