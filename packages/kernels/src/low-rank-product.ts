import { add, broadcastTo, matmul, swapAxes, type Tensor } from "@fmmformer/autodiff";
import { causalProduct } from "./causal-product.ts";

/** Features q and k (…b, h, r, n, f), values v (…b, h, 1, n, m), state (…b, h, r, f, m), null for zeros. */
export interface LowRankFactors {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly state: Tensor | null;
}

/**
 * Sum what keys write, and read it with queries:
 *
 *     x_i = Sᵀ q_i,   S = S_0 + Σ_j k_j v_jᵀ
 *
 * over all j, or j ≤ i when causal.
 *
 * @returns x (…b, h, r, n, m) and the last S
 */
export function lowRankProduct(
  { q, k, v, state }: LowRankFactors,
  causal: boolean,
): readonly [x: Tensor, last: Tensor] {
  if (causal) return causalProduct(q, k, repeated(v, q), state);
  const written = matmul(transposed(k), v);
  const last = state ? add(state, written) : written;
  return [matmul(q, last), last];
}

/** Cotangents of factors, each computed where it is asked for; that of the values once for each feature map. */
export interface LowRankCotangents {
  q(): Tensor;
  k(): Tensor;
  vAndState(): readonly [v: Tensor, state: Tensor];
}

// R is the cotangent of the last state and of all that read it: dq_i = S g_i, dk_j = R v_j, dv_j = Rᵀ k_j, dS_0 = R.

/** The pullback of `lowRankProduct`, from the cotangents of x (g) and of the last state (r). */
export function pullLowRankProduct(
  [g, r]: readonly [Tensor, Tensor],
  { q, k, v, state }: LowRankFactors,
  { last, causal }: { readonly last: Tensor; readonly causal: boolean },
): LowRankCotangents {
  if (causal) {
    const values = repeated(v, q);
    return {
      q: () => causalProduct(g, values, k, state && transposed(state))[0],
      k: () => causalProduct(values, g, q, transposed(r), { reverse: true })[0],
      vAndState: () => causalProduct(k, q, g, r, { reverse: true }),
    };
  }
  const ofState = add(r, matmul(transposed(q), g));
  return {
    q: () => matmul(g, transposed(last)),
    k: () => matmul(v, transposed(ofState)),
    vAndState: () => [matmul(k, ofState), ofState],
  };
}

function transposed(x: Tensor): Tensor {
  return swapAxes(x, -1, -2);
}

/** Values once for each feature map. */
function repeated(v: Tensor, like: Tensor): Tensor {
  return broadcastTo(v, [...like.shape.slice(0, -1), v.shape[v.shape.length - 1]]);
}
