import {
  abs,
  add,
  cos,
  div,
  equal,
  floor,
  greater,
  lessEqual,
  logicalAnd,
  logicalOr,
  maximum,
  minimum,
  mul,
  notEqual,
  sin,
  sqrt,
  sub,
  where,
} from "../primitives/elementwise.ts";
import { asTensor, type Scalar, type Tensor } from "../tensor.ts";
import { all } from "./statistics.ts";

/** x². */
export function square(x: Scalar): Tensor {
  return mul(x, x);
}

/** 1 / x. */
export function reciprocal(x: Scalar): Tensor {
  return div(1, x);
}

/** 1 / √x. */
export function rsqrt(x: Scalar): Tensor {
  return div(1, sqrt(x));
}

/** sin x / cos x. */
export function tan(x: Scalar): Tensor {
  return div(sin(x), cos(x));
}

/** The smallest whole number ≥ x. */
export function ceil(x: Scalar): Tensor {
  return sub(0, floor(sub(0, x)));
}

/** The nearest whole number, halves to the even one. */
export function round(x: Scalar): Tensor {
  const t = asTensor("round", x);
  const low = floor(t);
  const rest = sub(t, low);
  const odd = notEqual(sub(low, mul(2, floor(div(low, 2)))), 0);
  const up = logicalOr(greater(rest, 0.5), logicalAnd(equal(rest, 0.5), odd));
  return where(up, add(low, 1), low);
}

/** x, but no less than `low` and no more than `high`. */
export function clip(x: Scalar, low: Scalar, high: Scalar): Tensor {
  return minimum(maximum(x, low), high);
}

/** Whether a value is NaN. */
export function isnan(x: Scalar): Tensor {
  return notEqual(x, x);
}

/** Whether a value is neither infinite nor NaN. */
export function isfinite(x: Scalar): Tensor {
  return equal(sub(x, x), 0);
}

/** Whether every |x − y| ≤ absolute + relative·|y|. */
export function allClose(
  x: Scalar,
  y: Scalar,
  options: { readonly relative?: number; readonly absolute?: number } = {},
): boolean {
  const { relative = 1e-5, absolute = 1e-8 } = options;
  const near = logicalOr(equal(x, y), lessEqual(abs(sub(x, y)), add(absolute, mul(relative, abs(y)))));
  return all(near).item() === 1;
}
