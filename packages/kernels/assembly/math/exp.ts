import { ONE, splat, withSign } from "./splat";

// e^x = 2ⁿ e^r with n the integer nearest to x log₂e, r = x − n ln 2 by Cody and Waite's two-part ln 2, and
// e^r = 1 + r + r² q(r), q a minimax polynomial of degree 4 on |r| ≤ (ln 2)/2, relative error 2⁻²⁶ of e^r − 1.

const LOG2E = memory.data<f32>([1.4426950408889634]);
/** 1.5·2²³: adding it rounds to an integer and leaves that integer in the low bits. */
const ROUND = memory.data<f32>([12582912]);
/** The same and the biases of two exponents, 2·127. */
const ROUND_BIASED = memory.data<f32>([12583166]);
/** The same and one bias. */
const ROUND_BIASED_ONCE = memory.data<f32>([12583039]);
/** The leading 9 bits of ln 2, so that n times it is exact, and the rest. */
const LN2 = memory.data<f32>([0.693359375, -2.12194440054690583e-4]);
const Q = memory.data<f32>([0.5, 0.16666542, 0.04166628, 0.0083667105, 0.0013946671]);
/** ln of less than half the least subnormal, and of more than the largest number. */
const EXP_RANGE = memory.data<f32>([-104, 88.8]);
/** Where n is −127, one less than the exponent of the smallest normal number. */
const LEAST_NORMAL = memory.data<f32>([-88.03]);
/** Where expm1 has long been −1, and ln of more than the largest number. */
const EXPM1_RANGE = memory.data<f32>([-20, 88.8]);
const TWO = memory.data<f32>([2]);
const HALF = memory.data<f32>([0.5]);

/** 1.5·2²³ + n, n the integer nearest to x log₂e; its bits shifted left by 23 are n in the exponent's place. */
// @ts-ignore: decorator
@inline
export function binaryExponent(x: v128): v128 {
  return f32x4.add(f32x4.mul(x, splat(LOG2E)), splat(ROUND));
}

/** x − n ln 2. */
// @ts-ignore: decorator
@inline
function lessMultiple(x: v128, n: v128): v128 {
  return f32x4.sub(f32x4.sub(x, f32x4.mul(n, splat(LN2))), f32x4.mul(n, splat(LN2 + 4)));
}

/** x − n ln 2, given 1.5·2²³ + n. */
// @ts-ignore: decorator
@inline
export function remainder(x: v128, shifted: v128): v128 {
  return lessMultiple(x, f32x4.sub(shifted, splat(ROUND)));
}

/** r² q(r) = e^r − 1 − r for |r| ≤ (ln 2)/2. */
// @ts-ignore: decorator
@inline
export function beyondLinear(r: v128): v128 {
  const r2 = f32x4.mul(r, r);
  const low = f32x4.add(splat(Q), f32x4.mul(splat(Q + 4), r));
  const high = f32x4.add(f32x4.add(splat(Q + 8), f32x4.mul(splat(Q + 12), r)), f32x4.mul(r2, splat(Q + 16)));
  return f32x4.mul(r2, f32x4.add(low, f32x4.mul(r2, high)));
}

/**
 * e^x. The scale 2ⁿ is applied in two halves, so that subnormal results are rounded once and 2¹²⁸ is reached. Where the
 * result is 0 (masked logits), so is a scale: a product that underflows costs as much as ten others.
 */
// @ts-ignore: decorator
@inline
export function exp(x: v128): v128 {
  const z = f32x4.pmax(f32x4.pmin(x, splat(EXP_RANGE + 4)), splat(EXP_RANGE));
  const shifted = f32x4.add(f32x4.mul(z, splat(LOG2E)), splat(ROUND_BIASED));
  const r = lessMultiple(z, f32x4.sub(shifted, splat(ROUND_BIASED)));
  const p = f32x4.add(splat(ONE), f32x4.add(r, beyondLinear(r)));
  const exponents = i32x4.shl(shifted, 23);
  const half = i32x4.shl(i32x4.shr_u(exponents, 24), 23);
  const rest = v128.and(i32x4.sub(exponents, half), f32x4.gt(x, splat(EXP_RANGE)));
  return f32x4.mul(f32x4.mul(p, half), rest);
}

/** e^x for x < 88.3, or 0 where that is subnormal: at the least n the bits of the scale 2ⁿ are 0. Two thirds of the steps of `exp`. */
// @ts-ignore: decorator
@inline
export function normalExp(x: v128): v128 {
  const z = f32x4.pmax(x, splat(LEAST_NORMAL));
  const shifted = f32x4.add(f32x4.mul(z, splat(LOG2E)), splat(ROUND_BIASED_ONCE));
  const r = lessMultiple(z, f32x4.sub(shifted, splat(ROUND_BIASED_ONCE)));
  return f32x4.mul(f32x4.add(splat(ONE), f32x4.add(r, beyondLinear(r))), i32x4.shl(shifted, 23));
}

/** e^x − 1 = 2ⁿ p + (2ⁿ − 1), given p = e^r − 1 and 1.5·2²³ + n, n < 128. */
// @ts-ignore: decorator
@inline
export function scaledExpm1(p: v128, shifted: v128): v128 {
  const scale = i32x4.add(i32x4.shl(shifted, 23), splat(ONE));
  return f32x4.add(f32x4.mul(scale, p), f32x4.sub(scale, splat(ONE)));
}

/** e^x − 1 = 2ⁿ⁻¹ (2 (e^r − 1) + (2 − 2¹⁻ⁿ)), which is exact for subnormal x and reaches the largest number. */
// @ts-ignore: decorator
@inline
export function expm1(x: v128): v128 {
  const z = f32x4.pmax(f32x4.pmin(x, splat(EXPM1_RANGE + 4)), splat(EXPM1_RANGE));
  const shifted = binaryExponent(z);
  const r = remainder(z, shifted);
  const p = f32x4.add(r, beyondLinear(r));
  const exponent = i32x4.shl(shifted, 23);
  const twice = f32x4.add(f32x4.add(p, p), f32x4.sub(splat(TWO), i32x4.sub(splat(TWO), exponent)));
  return withSign(f32x4.mul(twice, i32x4.add(exponent, splat(HALF))), x);
}
