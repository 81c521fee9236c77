import { div, equal, mean, sum, type Tensor, where } from "@fmmformer/autodiff";

/**
 * How rows of a sequence become one: the mean over its tokens, or, as the authors of the paper and others on Long Range Arena have it, their
 * sum over the length with padding.
 */
export type PoolingName = "mean" | "padded-mean";

/**
 * Make one row of a sequence.
 *
 * @param x - (…b, n, c), zeros at padding
 * @param mask - (…b, n), null where all are tokens
 * @returns (…b, c); zeros for a sequence without tokens
 */
export function pool(name: PoolingName, x: Tensor, mask: Tensor | null): Tensor {
  if (name === "padded-mean" || !mask) return mean(x, { axis: -2 });
  const tokens = sum(mask, { axis: -1, keepDims: true }); // (…b, 1)
  return div(sum(x, { axis: -2 }), where(equal(tokens, 0), 1, tokens));
}
