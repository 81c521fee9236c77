import {
  customVjp,
  DTypeError,
  div,
  exp,
  expandDims,
  greater,
  iota,
  logSumExp,
  mean,
  mul,
  oneHot,
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
 * Shifted by the largest logit, nothing overflows.
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
  forward(logits: Tensor, labels: Tensor) {
    const total = logSumExp(logits, { axis: -1 });
    const known = take(iota(logits.shape[logits.shape.length - 1]), labels); // a label that is no class throws here
    const chosen = squeeze(takeAlongAxis(logits, expandDims(known, -1)), -1);
    return [sub(total, chosen), { logits, labels, total }];
  },
  pullback({ logits, labels, total }, g) {
    const probabilities = exp(sub(logits, expandDims(total, -1)));
    const target = oneHot(labels, logits.shape[logits.shape.length - 1], { dtype: logits.dtype });
    return [mul(expandDims(g, -1), sub(probabilities, target)), null];
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
