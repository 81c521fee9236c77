import {
  abs,
  add,
  concat,
  div,
  expandDims,
  greaterEqual,
  iota,
  matmul,
  maximum,
  mean,
  mul,
  onesLike,
  reshape,
  slice,
  split,
  sqrt,
  stack,
  sub,
  sum,
  swapAxes,
  type Tensor,
  take,
  tril,
  where,
} from "@fmmformer/autodiff";
import type { FarFieldOptions } from "../far-field.ts";
import type { FeatureMap } from "../feature-maps.ts";

/** The far field with all n² weights of each feature map written out. */
export function farField(q: Tensor, k: Tensor, v: Tensor, options: FarFieldOptions): Tensor {
  const { features, causal, beyond = 0, state, normalizer = "sum", eps = 1e-6, scale = 1, combine = "sum" } = options;
  const m = v.shape[v.shape.length - 1];
  const terms = features.map((map, l) => {
    const queries = featuresOf(q, map, options);
    const weights = matmul(queries, swapAxes(keysOf(k, map, options), -1, -2));
    const all = causal ? tril(weights) : weights; // (…b, h, n, n)
    const seen = where(beyondBand(all.shape[all.shape.length - 1], beyond), all, 0);
    const rows = concat([matmul(seen, v), sum(seen, { axis: -1, keepDims: true })], { axis: -1 });
    const read = state ? add(rows, matmul(queries, take(state, l, { axis: -3 }))) : rows;
    const [values, total] = split(read, [m], { axis: -1 });
    if (normalizer === "none") return values;
    if (normalizer === "sum") return div(values, add(maximum(total, 0), eps));
    return div(values, sqrt(add(mean(mul(values, values), { axis: -1, keepDims: true }), eps)));
  });
  const weighted = terms.map((o, l) => mul(mul(o, typeof combine === "string" ? 1 : weightOf(combine, l)), scale));
  const total = weighted.reduce((x, y) => add(x, y));
  return combine === "mean" ? div(total, features.length) : total;
}

/** Which of (n, n) pairs have |i − j| ≥ beyond. */
function beyondBand(n: number, beyond: number): Tensor {
  const apart = abs(sub(iota(n), expandDims(iota(n), -1)));
  return greaterEqual(apart, beyond);
}

/** That of feature map l beside (…b, h, n, m). */
function weightOf(weights: Tensor, l: number): Tensor {
  const { shape } = take(weights, l);
  return reshape(take(weights, l), shape.length === 0 ? [] : [shape[0], 1, shape[1] ?? 1]);
}

/** The state that the far field leaves behind. */
export function farFieldState(k: Tensor, v: Tensor, options: FarFieldOptions): Tensor {
  const values = concat([v, onesLike(slice(v, [], [...v.shape.slice(0, -1), 1]))], { axis: -1 });
  const sums = options.features.map((map) => matmul(swapAxes(keysOf(k, map, options), -1, -2), values));
  const total = stack(sums, { axis: -3 });
  return options.state ? add(total, options.state) : total;
}

function featuresOf(x: Tensor, map: FeatureMap, options: FarFieldOptions): Tensor {
  const y = map.apply(x);
  return options.featureNorm === "l1" ? div(y, sum(abs(y), { axis: -1, keepDims: true })) : y;
}

function keysOf(k: Tensor, map: FeatureMap, options: FarFieldOptions): Tensor {
  const keys = featuresOf(k, map, options);
  return options.mask ? where(expandDims(expandDims(options.mask, -1), -3), keys, 0) : keys;
}
