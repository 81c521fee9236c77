import { sum } from "../primitives/broadcast.ts";
import { add, div, equal, exp, log, sub, where } from "../primitives/elementwise.ts";
import { reshape } from "../primitives/layout.ts";
import { max } from "../primitives/reduce.ts";
import { stopGradient } from "../primitives/stop-gradient.ts";
import { normalizeAxes } from "../shape.ts";
import { asTensor, type Scalar, type Tensor } from "../tensor.ts";

/** The largest element, as a constant to shift by; 0 where it is infinite, so that a row of −∞ shifts to itself. */
function shiftOf(x: Tensor, axis: number | readonly number[] | undefined): Tensor {
  const top = stopGradient(max(x, { ...(axis !== undefined && { axis }), keepDims: true }));
  return where(equal(sub(top, top), 0), top, 0);
}

/**
 * ln Σ e^x over axes (default: all), shifted by the largest element so that nothing overflows. −∞ where all elements are.
 */
export function logSumExp(
  x: Scalar,
  options: { readonly axis?: number | readonly number[]; readonly keepDims?: boolean } = {},
): Tensor {
  const t = asTensor("logSumExp", x);
  const axes = normalizeAxes("logSumExp", options.axis, t.shape.length);
  const shift = shiftOf(t, axes);
  const y = add(log(sum(exp(sub(t, shift)), { axis: axes, keepDims: true })), shift);
  return options.keepDims
    ? y
    : reshape(
        y,
        t.shape.filter((_, i) => !axes.includes(i)),
      );
}

/**
 * e^x / Σ e^x along an axis (default: the last), without overflow. A row of −∞ gives NaN: mask it first.
 */
export function softmax(x: Scalar, options: { readonly axis?: number } = {}): Tensor {
  const t = asTensor("softmax", x);
  const axis = options.axis ?? -1;
  const e = exp(sub(t, shiftOf(t, axis)));
  return div(e, sum(e, { axis, keepDims: true }));
}

/** x − ln Σ e^x along an axis (default: the last). */
export function logSoftmax(x: Scalar, options: { readonly axis?: number } = {}): Tensor {
  const t = asTensor("logSoftmax", x);
  const axis = options.axis ?? -1;
  // Shifted first, so that large logits keep their digits.
  const shifted = sub(t, shiftOf(t, axis));
  return sub(shifted, log(sum(exp(shifted), { axis, keepDims: true })));
}
