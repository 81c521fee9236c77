import { isFloat } from "../dtype.ts";
import { sum } from "../primitives/broadcast.ts";
import { cast } from "../primitives/cast.ts";
import { div, mul, sqrt, sub } from "../primitives/elementwise.ts";
import { moveAxis, reshape } from "../primitives/layout.ts";
import { max, min } from "../primitives/reduce.ts";
import { alongAxis, concat } from "../primitives/window.ts";
import { normalizeAxes } from "../shape.ts";
import { asTensor, ones, type Scalar, type Tensor } from "../tensor.ts";

/** Which axes to reduce (default: all), and whether to keep them at size 1. */
export interface ReduceOptions {
  readonly axis?: number | readonly number[];
  readonly keepDims?: boolean;
}

/** The average over axes; integers are averaged as float32. */
export function mean(x: Scalar, options: ReduceOptions = {}): Tensor {
  const given = asTensor("mean", x);
  const t = isFloat(given.dtype) ? given : cast(given, "float32");
  const axes = normalizeAxes("mean", options.axis, t.shape.length);
  return div(
    sum(t, options),
    axes.reduce((n, axis) => n * t.shape[axis], 1),
  );
}

/** The average squared distance from the mean over axes; `correction` 1 divides by n − 1 instead of n. */
export function variance(x: Scalar, options: ReduceOptions & { readonly correction?: number } = {}): Tensor {
  const t = asTensor("variance", x);
  const axes = normalizeAxes("variance", options.axis, t.shape.length);
  const n = axes.reduce((size, axis) => size * t.shape[axis], 1);
  const from = sub(t, mean(t, { axis: axes, keepDims: true }));
  return div(sum(mul(from, from), options), n - (options.correction ?? 0));
}

/** The square root of the variance. */
export function std(x: Scalar, options: ReduceOptions & { readonly correction?: number } = {}): Tensor {
  return sqrt(variance(x, options));
}

/** The product over axes, by halving: exact gradients at zeros too. */
export function prod(x: Scalar, options: ReduceOptions = {}): Tensor {
  const t = asTensor("prod", x);
  const axes = normalizeAxes("prod", options.axis, t.shape.length);
  const kept = t.shape.filter((_, axis) => !axes.includes(axis));
  let y = t;
  for (const [done, axis] of axes.entries()) y = moveAxis(y, axis, done);
  y = reshape(y, [axes.reduce((n, axis) => n * t.shape[axis], 1), ...kept]);
  if (y.shape[0] === 0) y = ones([1, ...kept], { dtype: t.dtype });
  while (y.shape[0] > 1) {
    const half = y.shape[0] >> 1;
    const pairs = mul(alongAxis(y, 0, 0, half), alongAxis(y, 0, half, 2 * half));
    y = y.shape[0] % 2 === 0 ? pairs : concat([pairs, alongAxis(y, 0, 2 * half, y.shape[0])]);
  }
  return reshape(y, options.keepDims ? t.shape.map((n, axis) => (axes.includes(axis) ? 1 : n)) : kept);
}

/** Whether any element over axes is true (not 0). */
export function any(x: Scalar, options: ReduceOptions = {}): Tensor {
  return cast(max(cast(cast(x, "bool"), "int32"), options), "bool");
}

/** Whether every element over axes is true (not 0). */
export function all(x: Scalar, options: ReduceOptions = {}): Tensor {
  return cast(min(cast(cast(x, "bool"), "int32"), options), "bool");
}
