import { INFINITY, ONE, SIGN, splat } from "./splat";

// x = 2ᵉ (1 + f) with 2/3 ≤ 1 + f < 4/3 and log x = e ln 2 + log(1 + f), log(1 + f) = f − f²/2 + f³ P(f),
// P a minimax polynomial of degree 7, relative error 2⁻²⁷ of log(1 + f).

const P = memory.data<f32>([
  0.33333215, -0.24999797, 0.20010406, -0.16680488, 0.1400587, -0.12184261, 0.13984437, -0.12891686,
]);
const HALF = memory.data<f32>([0.5]);
/** The leading 9 bits of ln 2, so that e times it is exact, and the rest. */
const LN2 = memory.data<f32>([0.693359375, -2.12194440054690583e-4]);
/** 2/3, the lower end of 1 + f, as bits. */
const LOWER = memory.data<u32>([0x3f2aaaab]);
const FRACTION = memory.data<u32>([0x007fffff]);
/** The bits of the normal positive numbers, moved by this, are the signed integers up to NORMAL_LAST. */
const NORMAL_SHIFT = memory.data<u32>([0x7f800000]);
const NORMAL_LAST = memory.data<u32>([0xfeffffff]);
const NORMAL_FIRST = memory.data<f32>([1.1754943508222875e-38]);
const MINUS_INFINITY = memory.data<f32>([-Infinity]);
const TWO_23 = memory.data<f32>([8388608]);
/** From here on log1p(x) and log(x) are equal in single precision. */
const LARGE = memory.data<f32>([1099511627776]);

/** e ln 2 + log(1 + f). */
// @ts-ignore: decorator
@inline
function combine(f: v128, e: v128): v128 {
  const f2 = f32x4.mul(f, f);
  const f4 = f32x4.mul(f2, f2);
  const p01 = f32x4.add(splat(P), f32x4.mul(splat(P + 4), f));
  const p23 = f32x4.add(splat(P + 8), f32x4.mul(splat(P + 12), f));
  const p45 = f32x4.add(splat(P + 16), f32x4.mul(splat(P + 20), f));
  const p67 = f32x4.add(splat(P + 24), f32x4.mul(splat(P + 28), f));
  const low = f32x4.add(p01, f32x4.mul(f2, p23));
  const p = f32x4.add(low, f32x4.mul(f4, f32x4.add(p45, f32x4.mul(f2, p67))));
  const tail = f32x4.mul(f2, f32x4.sub(f32x4.mul(f, p), splat(HALF)));
  const rest = f32x4.add(tail, f32x4.mul(e, splat(LN2 + 4)));
  return f32x4.add(f32x4.add(f, rest), f32x4.mul(e, splat(LN2)));
}

/** log of normal positive numbers, the exponent lowered by `less`. */
// @ts-ignore: decorator
@inline
function logNormal(x: v128, less: v128): v128 {
  const i = i32x4.sub(x, splat(LOWER));
  const f = f32x4.sub(i32x4.add(v128.and(i, splat(FRACTION)), splat(LOWER)), splat(ONE));
  return combine(f, f32x4.convert_i32x4_s(i32x4.sub(i32x4.shr_s(i, 23), less)));
}

/** log x for every x. */
function logAny(x: v128): v128 {
  const small = f32x4.lt(x, splat(NORMAL_FIRST));
  const y = logNormal(
    v128.bitselect(f32x4.mul(x, splat(TWO_23)), x, small),
    v128.and(small, i32x4.splat(23)),
  );
  const finite = v128.bitselect(y, x, f32x4.lt(x, splat(INFINITY)));
  const positive = v128.bitselect(splat(MINUS_INFINITY), finite, f32x4.eq(x, f32x4.splat(0)));
  // All ones, where x < 0, is a NaN.
  return v128.or(positive, f32x4.lt(x, f32x4.splat(0)));
}

/** log x: −∞ at 0, NaN below. Subnormals, 0, ∞ and NaN leave the straight path. */
// @ts-ignore: decorator
@inline
export function log(x: v128): v128 {
  const unusual = i32x4.gt_s(i32x4.add(x, splat(NORMAL_SHIFT)), splat(NORMAL_LAST));
  return v128.any_true(unusual) ? logAny(x) : logNormal(x, i32x4.splat(0));
}

/**
 * log(1 + x) for −1 < x < 2⁴⁰: 2ᵉ is read off the rounded 1 + x, but f = 2⁻ᵉ x + (2⁻ᵉ − 1) comes from x itself,
 * so that nothing is lost.
 */
// @ts-ignore: decorator
@inline
function log1pUsual(x: v128): v128 {
  const i = i32x4.sub(f32x4.add(x, splat(ONE)), splat(LOWER));
  const scale = i32x4.sub(splat(ONE), v128.andnot(i, splat(FRACTION)));
  const f = f32x4.add(f32x4.mul(x, scale), f32x4.sub(scale, splat(ONE)));
  const y = combine(f, f32x4.convert_i32x4_s(i32x4.shr_s(i, 23)));
  return v128.or(y, v128.and(x, splat(SIGN)));
}

function log1pAny(x: v128): v128 {
  const large = f32x4.ge(x, splat(LARGE));
  const y = logAny(v128.bitselect(x, f32x4.add(x, splat(ONE)), large));
  return v128.bitselect(log1pUsual(x), y, v128.and(f32x4.gt(x, f32x4.splat(-1)), v128.not(large)));
}

/** log(1 + x): −∞ at −1, NaN below. */
// @ts-ignore: decorator
@inline
export function log1p(x: v128): v128 {
  const usual = v128.and(f32x4.gt(x, f32x4.splat(-1)), f32x4.lt(x, splat(LARGE)));
  return i32x4.all_true(usual) ? log1pUsual(x) : log1pAny(x);
}
