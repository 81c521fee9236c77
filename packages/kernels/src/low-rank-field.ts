import {
  add,
  broadcastTo,
  concat,
  customVjp,
  div,
  equal,
  expandDims,
  greater,
  matmul,
  maximum,
  mul,
  neg,
  ones,
  split,
  squeeze,
  sum,
  swapAxes,
  type Tensor,
  where,
  zerosLike,
} from "@fmmformer/autodiff";
import { causalProduct } from "./causal-product.ts";
import { expectShape } from "./expect-shape.ts";
import { shifted } from "./shifted.ts";

/** The static parameters of the op. */
export interface LowRankRule {
  /** Read only what tokens up to one's own have written. */
  readonly causal: boolean;
  /** Divide what a query reads by its sum of weights + ε. */
  readonly divide: boolean;
  readonly eps: number;
}

/**
 * The far field behind its feature maps: sum what keys write, and read it with queries:
 *
 *     S = S_0 + Σ_j φk_j [v_j, 1]ᵀ,   x_i = Sᵀ φq_i,   t_i = x_{i,1:m} / (max(x_{i,m+1}, 0) + ε)
 *
 * with j over all tokens, or j ≤ i when causal. A row that reads nothing gives 0, with gradient 0.
 *
 * @param q - (…b, h, r, n, f) features of queries
 * @param k - (…b, h, r, n, f) features of keys, 0 where masked
 * @param v - (…b, h, n, m)
 * @param state - S_0 (…b, h, r, f, m + 1); null for zeros
 * @returns t (…b, h, r, n, m) and the last S
 */
export function lowRankField(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  state: Tensor | null,
  rule: LowRankRule,
): readonly [terms: Tensor, last: Tensor] {
  if (state) {
    const [h, r, , f] = k.shape.slice(-4);
    expectShape("farField", "state", state, k.shape.slice(0, -4), { h, r, f, "m+1": v.shape[v.shape.length - 1] + 1 });
  }
  return lowRankOp(q, k, v, state, rule);
}

/**
 * The same for keys with |i − j| ≥ beyond, of both sides or before: sums that run so far behind, so that nothing is added that must be
 * taken away.
 *
 * @returns t (…b, h, r, n, m)
 */
export function lowRankFieldBeyond(q: Tensor, k: Tensor, v: Tensor, beyond: number, rule: LowRankRule): Tensor {
  const values = repeated(withOne(v), q);
  const read = (by: number): Tensor =>
    causalProduct(q, shifted(k, by), shifted(values, by), null, { reverse: by < 0 })[0];
  const x = rule.causal ? read(beyond) : add(read(beyond), read(-beyond));
  const [terms, weights] = split(x, [v.shape[v.shape.length - 1]], { axis: -1 });
  return rule.divide ? divided(terms, divisorOf(weights, rule)) : terms;
}

// With h the cotangent of the rows x that were read, and R that of the last state and of all that read it:
//
//     h_i = [g_i, −g_i·t_i] / den_i,   dq_i = S h_i,   R = dS + Σ_i φq_i h_iᵀ,   dk_j = R [v_j, 1],   dv_j = (Rᵀ φk_j)_{1:m},   dS_0 = R

const lowRankOp = customVjp({
  name: "farField",
  kernel: true,
  forward(q: Tensor, k: Tensor, v: Tensor, state: Tensor | null, rule: LowRankRule) {
    const values = withOne(v);
    const [x, last] = rule.causal ? causalProduct(q, k, repeated(values, q), state) : readAll(q, k, values, state);
    const [read, weights] = split(x, [v.shape[v.shape.length - 1]], { axis: -1 });
    const terms = rule.divide ? divided(read, divisorOf(weights, rule)) : read;
    return [[terms, last] as const, { q, k, v, state, rule, terms, last, weights: squeeze(weights, -1) }];
  },
  pullback({ q, k, v, state, rule, terms, last, weights }, [g, r], needs) {
    const h = pullRows(g, terms, expandDims(weights, -1), rule); // (…b, h, r, n, m + 1)
    const values = withOne(v);
    const [ofQ, ofK, ofValues, ofState] = rule.causal
      ? pullCausal({ q, k, values: repeated(values, q), state, h, r }, needs)
      : pullAll({ q, k, values, last, h, r });
    return [
      ofQ,
      ofK,
      ofValues && split(sum(ofValues, { axis: -3 }), [v.shape[v.shape.length - 1]], { axis: -1 })[0],
      state && ofState,
      null,
    ];
  },
  leading: [4, 4, 3, 4, 0],
});

function readAll(q: Tensor, k: Tensor, values: Tensor, state: Tensor | null): readonly [x: Tensor, last: Tensor] {
  const written = matmul(transposed(k), values);
  const last = state ? add(state, written) : written;
  return [matmul(q, last), last];
}

interface Factors {
  readonly q: Tensor;
  readonly k: Tensor;
  /** [v, 1], (…b, h, 1, n, m + 1) */
  readonly values: Tensor;
  /** The cotangent of the rows that were read */
  readonly h: Tensor;
  /** That of the last state */
  readonly r: Tensor;
}

function pullAll({ q, k, values, last, h, r }: Factors & { readonly last: Tensor }): readonly Tensor[] {
  const ofState = add(r, matmul(transposed(q), h));
  return [matmul(h, transposed(last)), matmul(values, transposed(ofState)), matmul(k, ofState), ofState];
}

function pullCausal(
  { q, k, values, state, h, r }: Factors & { readonly state: Tensor | null },
  needs: readonly boolean[],
): readonly (Tensor | null)[] {
  const [ofValues, ofState] = needs[2] || needs[3] ? causalProduct(k, q, h, r, { reverse: true }) : [null, null];
  return [
    needs[0] ? causalProduct(h, values, k, state && transposed(state))[0] : null,
    needs[1] ? causalProduct(values, h, q, transposed(r), { reverse: true })[0] : null,
    ofValues,
    ofState,
  ];
}

function divisorOf(weights: Tensor, { eps }: LowRankRule): Tensor {
  return add(maximum(weights, 0), eps);
}

/** The cotangent of rows [read, weight] from that of terms. */
function pullRows(g: Tensor, terms: Tensor, weights: Tensor, rule: LowRankRule): Tensor {
  if (!rule.divide) return concat([g, zerosLike(weights)], { axis: -1 });
  const divisor = divisorOf(weights, rule);
  const ofWeight = neg(divided(sum(mul(g, terms), { axis: -1, keepDims: true }), divisor));
  return concat([divided(g, divisor), where(greater(weights, 0), ofWeight, 0)], { axis: -1 });
}

/** x / y, and 0 with gradient 0 where y is 0. */
function divided(x: Tensor, y: Tensor): Tensor {
  const zero = equal(y, 0);
  return where(zero, 0, div(x, where(zero, 1, y)));
}

/** Values with a 1 behind, for any feature map: the normaliser is one more column of its state. */
function withOne(v: Tensor): Tensor {
  const one = ones([...v.shape.slice(0, -1), 1], { dtype: v.dtype });
  return expandDims(concat([v, one], { axis: -1 }), -3);
}

function transposed(x: Tensor): Tensor {
  return swapAxes(x, -1, -2);
}

/** Values once for each feature map. */
function repeated(values: Tensor, like: Tensor): Tensor {
  return broadcastTo(values, [...like.shape.slice(0, -1), values.shape[values.shape.length - 1]]);
}
