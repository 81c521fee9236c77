import {
  abs,
  add,
  concat,
  div,
  expandDims,
  matmul,
  maximum,
  mean,
  mul,
  onesLike,
  slice,
  sqrt,
  stack,
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
  const { features, causal, normalizer = "sum", eps = 1e-6, scale = 1, combine = "sum", state } = options;
  const m = v.shape[v.shape.length - 1];
  const terms = features.map((map, l) => {
    const [queries, keys] = [featuresOf(q, map, options), keysOf(k, map, options)];
    const weights = matmul(queries, swapAxes(keys, -1, -2));
    const seen = causal ? tril(weights) : weights;
    const before = state ? matmul(queries, take(state, l, { axis: -3 })) : null;
    const part = (from: number, to: number): Tensor =>
      slice(before as Tensor, [...queries.shape.slice(0, -1).map(() => 0), from], [...queries.shape.slice(0, -1), to]);
    const values = before ? add(matmul(seen, v), part(0, m)) : matmul(seen, v);
    const total = sum(seen, { axis: -1, keepDims: true });
    if (normalizer === "none") return values;
    if (normalizer === "sum") return div(values, add(maximum(before ? add(total, part(m, m + 1)) : total, 0), eps));
    return div(values, sqrt(add(mean(mul(values, values), { axis: -1, keepDims: true }), eps)));
  });
  const weightOf = (l: number): Tensor | number => {
    if (typeof combine === "string") return combine === "mean" ? 1 / features.length : 1;
    const weight = take(combine, l);
    return weight.shape.length === 0
      ? weight
      : expandDims(weight.shape.length === 1 ? expandDims(weight, 1) : weight, 1);
  };
  const weighted = terms.map((o, l) => mul(mul(o, weightOf(l)), scale));
  return weighted.reduce((a, b) => add(a, b));
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
