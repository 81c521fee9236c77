import { add, matmul, swapAxes, type Tensor, tril, triu } from "@fmmformer/autodiff";

/**
 * The causal product with all n² scores written out:
 *
 *     o = q S_0 + tril(q kᵀ) v        reverse: triu
 */
export function causalProduct(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  state: Tensor,
  options: { readonly reverse?: boolean } = {},
): [o: Tensor, state: Tensor] {
  const scores = matmul(q, swapAxes(k, -1, -2));
  const seen = options.reverse ? triu(scores) : tril(scores);
  return [add(matmul(q, state), matmul(seen, v)), add(state, matmul(swapAxes(k, -1, -2), v))];
}
