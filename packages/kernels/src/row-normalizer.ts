import {
  add,
  concat,
  div,
  equal,
  greater,
  maximum,
  mean,
  mul,
  neg,
  split,
  sqrt,
  sub,
  sum,
  type Tensor,
  where,
  zerosLike,
} from "@fmmformer/autodiff";

// Rows x (…, m + 1) that a query has read from the state: m sums of values, and last the sum of their weights.

/** What divides the values of a row: its sum of weights + ε, the root of their mean square + ε, or nothing. */
export interface RowNormalizer {
  readonly normalizer: "none" | "sum" | "rms";
  readonly eps: number;
}

/** The values (…, m) of rows, divided. A row that holds nothing gives 0, with gradient 0. */
export function normalizeRows(x: Tensor, rule: RowNormalizer): Tensor {
  const [values, weight] = parts(x);
  const divisor = divisorOf(values, weight, rule);
  return divisor ? divided(values, divisor) : values;
}

/** The cotangent of rows x from that of `normalizeRows`. */
export function pullRows(g: Tensor, x: Tensor, rule: RowNormalizer): Tensor {
  const [values, weight] = parts(x);
  const divisor = divisorOf(values, weight, rule);
  const besides = (ofValues: Tensor, ofWeight: Tensor): Tensor => concat([ofValues, ofWeight], { axis: -1 });
  if (!divisor) return besides(g, zerosLike(weight));
  const products = mul(g, divided(values, divisor));
  if (rule.normalizer === "rms") {
    const along = mul(divided(values, divisor), mean(products, { axis: -1, keepDims: true }));
    return besides(divided(sub(g, along), divisor), zerosLike(weight));
  }
  const ofWeight = neg(divided(sum(products, { axis: -1, keepDims: true }), divisor));
  return besides(divided(g, divisor), where(greater(weight, 0), ofWeight, 0));
}

function parts(x: Tensor): Tensor[] {
  return split(x, [x.shape[x.shape.length - 1] - 1], { axis: -1 });
}

function divisorOf(values: Tensor, weight: Tensor, { normalizer, eps }: RowNormalizer): Tensor | null {
  if (normalizer === "none") return null;
  if (normalizer === "sum") return add(maximum(weight, 0), eps);
  const square = add(mean(mul(values, values), { axis: -1, keepDims: true }), eps);
  const zero = equal(square, 0);
  return where(zero, 0, sqrt(where(zero, 1, square)));
}

/** x / y, and 0 with gradient 0 where y is 0. */
function divided(x: Tensor, y: Tensor): Tensor {
  const zero = equal(y, 0);
  return where(zero, 0, div(x, where(zero, 1, y)));
}
