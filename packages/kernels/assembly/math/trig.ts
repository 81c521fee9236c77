import { ONE, SIGN, splat } from "./splat";

// |x| = n π/2 + r with |r| ≤ π/4, reduced in double precision: exact products up to |x| = 2²⁰, single lanes beyond.
// sin and cos of r are polynomials in single precision, swapped and negated by the last two bits of n.

const TWO_OVER_PI = memory.data<f64>([0.6366197723675814]);
/** 1.5·2⁵²: adding it rounds to an integer and leaves that integer in the low bits. */
const ROUND = memory.data<f64>([6755399441055744]);
/** The leading 33 bits of π/2, and the rest. */
const HALF_PI = memory.data<f64>([1.57079632673412561417, 6.07710050650619224932e-11]);
/** Up to here n has 20 bits, and n times the leading part of π/2 is exact. */
const LARGE = memory.data<f32>([1048576]);
const HALF = memory.data<f32>([0.5]);
/** sin(r) = r + r³ S(r²), cos(r) = 1 − r²/2 + r⁴ C(r²): minimax, relative errors 2⁻²⁸ and 2⁻³³. */
const S = memory.data<f32>([-0.16666655, 0.008332156, -0.00019514632]);
const C = memory.data<f32>([0.041666646, -0.001388731, 2.4432413e-5]);

// @ts-ignore: decorator
@inline
function splat64(at: usize): v128 {
  return v128.load_splat<f64>(at);
}

/** 1.5·2⁵² + n for two lanes. */
// @ts-ignore: decorator
@inline
function quarterTurns(x: v128): v128 {
  return f64x2.add(f64x2.mul(x, splat64(TWO_OVER_PI)), splat64(ROUND));
}

/** r in the first two single precision lanes. */
// @ts-ignore: decorator
@inline
function remainder(x: v128, shifted: v128): v128 {
  const n = f64x2.sub(shifted, splat64(ROUND));
  const lead = f64x2.sub(x, f64x2.mul(n, splat64(HALF_PI)));
  return f32x4.demote_f64x2_zero(f64x2.sub(lead, f64x2.mul(n, splat64(HALF_PI + 8))));
}

/** sin(a + quarters π/2) for 0 ≤ a < 2²⁰. */
// @ts-ignore: decorator
@inline
function sinFrom(a: v128, quarters: i32): v128 {
  const low = f64x2.promote_low_f32x4(a);
  const high = f64x2.promote_low_f32x4(v128.shuffle<i64>(a, a, 1, 1));
  const lowTurns = quarterTurns(low);
  const highTurns = quarterTurns(high);
  const r = v128.shuffle<i64>(remainder(low, lowTurns), remainder(high, highTurns), 0, 2);
  let n = v128.shuffle<i32>(lowTurns, highTurns, 0, 2, 4, 6);
  if (quarters) n = i32x4.add(n, i32x4.splat(quarters));

  const z = f32x4.mul(r, r);
  const s = f32x4.add(f32x4.mul(f32x4.add(f32x4.mul(splat(S + 8), z), splat(S + 4)), z), splat(S));
  const sin = f32x4.add(r, f32x4.mul(f32x4.mul(r, z), s));
  const c = f32x4.add(f32x4.mul(f32x4.add(f32x4.mul(splat(C + 8), z), splat(C + 4)), z), splat(C));
  const cos = f32x4.add(f32x4.sub(splat(ONE), f32x4.mul(z, splat(HALF))), f32x4.mul(f32x4.mul(z, z), c));
  const odd = i32x4.shr_s(i32x4.shl(n, 31), 31);
  const negative = v128.and(i32x4.shl(n, 30), splat(SIGN));
  return v128.xor(v128.bitselect(cos, sin, odd), negative);
}

/** sin x for |x| < 2²⁰, through |x| to keep the sign of zero. */
// @ts-ignore: decorator
@inline
function sinUsual(x: v128): v128 {
  return v128.xor(sinFrom(f32x4.abs(x), 0), v128.and(x, splat(SIGN)));
}

/** cos x for |x| < 2²⁰. */
// @ts-ignore: decorator
@inline
function cosUsual(x: v128): v128 {
  return sinFrom(f32x4.abs(x), 1);
}

function sinAny(x: v128): v128 {
  let y = f32x4.splat(<f32>Math.sin(f32x4.extract_lane(x, 0)));
  y = f32x4.replace_lane(y, 1, <f32>Math.sin(f32x4.extract_lane(x, 1)));
  y = f32x4.replace_lane(y, 2, <f32>Math.sin(f32x4.extract_lane(x, 2)));
  y = f32x4.replace_lane(y, 3, <f32>Math.sin(f32x4.extract_lane(x, 3)));
  return v128.bitselect(y, sinUsual(x), f32x4.ge(f32x4.abs(x), splat(LARGE)));
}

function cosAny(x: v128): v128 {
  let y = f32x4.splat(<f32>Math.cos(f32x4.extract_lane(x, 0)));
  y = f32x4.replace_lane(y, 1, <f32>Math.cos(f32x4.extract_lane(x, 1)));
  y = f32x4.replace_lane(y, 2, <f32>Math.cos(f32x4.extract_lane(x, 2)));
  y = f32x4.replace_lane(y, 3, <f32>Math.cos(f32x4.extract_lane(x, 3)));
  return v128.bitselect(y, cosUsual(x), f32x4.ge(f32x4.abs(x), splat(LARGE)));
}

/** sin x, of every finite x; NaN for ±∞. */
// @ts-ignore: decorator
@inline
export function sin(x: v128): v128 {
  return v128.any_true(f32x4.ge(f32x4.abs(x), splat(LARGE))) ? sinAny(x) : sinUsual(x);
}

/** cos x, of every finite x; NaN for ±∞. */
// @ts-ignore: decorator
@inline
export function cos(x: v128): v128 {
  return v128.any_true(f32x4.ge(f32x4.abs(x), splat(LARGE))) ? cosAny(x) : cosUsual(x);
}
