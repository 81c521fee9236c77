import { INFINITY, SIGN, splat } from "./splat";

// x^y = 2^{y log₂|x|} in double precision, rounded once, with the sign (−1)^y for x < 0. The usual exponents are
// products and roots in double precision. Whichever way is taken, a lane's result does not depend on its neighbours.
//
// |x| = 2ᵉ m with √½ ≤ m < √2, log₂ m = s L(s²), s = (m − 1) / (m + 1): minimax, relative error 2⁻³⁸.
// 2^t = 2ⁿ E(t − n) with n the integer nearest to t: minimax, relative error 2⁻²⁹.

const L = memory.data<f64>([
  2.885390081790147, 0.9617966732756439, 0.5770835961900102, 0.4116721093337509, 0.3407404562612377,
]);
const E = memory.data<f64>([
  0.999999999918941, 0.6931472067410884, 0.2402265150601661, 0.05550327148709504, 0.00961799440701238,
  0.0013400458483152835, 0.00015478052012121146,
]);
/** √½ as bits, less the exponent's bias, which leaves the shifted exponent positive. */
const LOWER_UNBIASED = memory.data<u64>([0xfff6a09e667f3bcd]);
const LOWER = memory.data<u64>([0x3fe6a09e667f3bcd]);
const FRACTION = memory.data<u64>([0x000fffffffffffff]);
/** 2⁵², whose low bits hold an integer, and 2⁵² + 1023. */
const TWO_52 = memory.data<f64>([4503599627370496, 4503599627371519]);
/** 1.5·2⁵²: adding it rounds to an integer and leaves that integer in the low bits. */
const ROUND = memory.data<f64>([6755399441055744]);
const ONE_64 = memory.data<f64>([1]);
/** Beyond these exponents of two every result is 0 or ∞. */
const RANGE = memory.data<f64>([-200, 200]);
/** Stands for log₂ 0, so that y log₂ 0 is out of range for every y but 0. */
const LOG_ZERO = memory.data<f64>([-1e300]);
const HALF = memory.data<f32>([0.5]);
const TWO = memory.data<f32>([2]);
const THREE = memory.data<f32>([3]);

// @ts-ignore: decorator
@inline
function splat64(at: usize): v128 {
  return v128.load_splat<f64>(at);
}

// @ts-ignore: decorator
@inline
function lowHalf(x: v128): v128 {
  return f64x2.promote_low_f32x4(x);
}

// @ts-ignore: decorator
@inline
function highHalf(x: v128): v128 {
  return f64x2.promote_low_f32x4(v128.shuffle<i64>(x, x, 1, 1));
}

/** Two pairs of double precision numbers, rounded to four of single precision. */
// @ts-ignore: decorator
@inline
function rounded(low: v128, high: v128): v128 {
  return v128.shuffle<i64>(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 2);
}

/** 2^{y log₂ a} for finite a ≥ 0 and finite y. */
// @ts-ignore: decorator
@inline
function powHalf(a: v128, y: v128): v128 {
  const i = i64x2.sub(a, splat64(LOWER_UNBIASED));
  const e = f64x2.sub(v128.or(i64x2.shr_u(i, 52), splat64(TWO_52)), splat64(TWO_52 + 8));
  const m = i64x2.add(v128.and(i, splat64(FRACTION)), splat64(LOWER));
  const s = f64x2.div(f64x2.sub(m, splat64(ONE_64)), f64x2.add(m, splat64(ONE_64)));
  const z = f64x2.mul(s, s);
  let l = f64x2.add(f64x2.mul(splat64(L + 32), z), splat64(L + 24));
  l = f64x2.add(f64x2.mul(l, z), splat64(L + 16));
  l = f64x2.add(f64x2.mul(l, z), splat64(L + 8));
  l = f64x2.add(f64x2.mul(l, z), splat64(L));
  const log2 = v128.bitselect(splat64(LOG_ZERO), f64x2.add(e, f64x2.mul(s, l)), i64x2.eq(a, i64x2.splat(0)));

  const t = f64x2.pmax(f64x2.pmin(f64x2.mul(y, log2), splat64(RANGE + 8)), splat64(RANGE));
  const shifted = f64x2.add(t, splat64(ROUND));
  const r = f64x2.sub(t, f64x2.sub(shifted, splat64(ROUND)));
  let p = f64x2.add(f64x2.mul(splat64(E + 48), r), splat64(E + 40));
  p = f64x2.add(f64x2.mul(p, r), splat64(E + 32));
  p = f64x2.add(f64x2.mul(p, r), splat64(E + 24));
  p = f64x2.add(f64x2.mul(p, r), splat64(E + 16));
  p = f64x2.add(f64x2.mul(p, r), splat64(E + 8));
  p = f64x2.add(f64x2.mul(p, r), splat64(E));
  return i64x2.add(p, i64x2.shl(shifted, 52));
}

/** x^y for finite x and y. */
// @ts-ignore: decorator
@inline
function powFinite(x: v128, y: v128): v128 {
  const a = f32x4.abs(x);
  const z = rounded(powHalf(lowHalf(a), lowHalf(y)), powHalf(highHalf(a), highHalf(y)));
  const half = f32x4.mul(y, splat(HALF));
  const whole = f32x4.eq(f32x4.nearest(y), y);
  const odd = v128.andnot(whole, f32x4.eq(f32x4.nearest(half), half));
  // All ones, where x < 0 and y is no integer, is a NaN.
  const invalid = v128.andnot(f32x4.lt(x, f32x4.splat(0)), whole);
  return v128.or(v128.xor(z, v128.and(v128.and(x, odd), splat(SIGN))), invalid);
}

/** x³ in double precision: two roundings there, far below the one to single. */
// @ts-ignore: decorator
@inline
function cube(x: v128): v128 {
  const low = lowHalf(x);
  const high = highHalf(x);
  return rounded(f64x2.mul(f64x2.mul(low, low), low), f64x2.mul(f64x2.mul(high, high), high));
}

/** |√(x + 0)|: the root of −0 is +0 and that of −∞ is +∞ here. */
// @ts-ignore: decorator
@inline
function root(x: v128): v128 {
  return f64x2.sqrt(f64x2.add(v128.bitselect(f64x2.abs(x), x, f64x2.eq(x, f64x2.splat(-Infinity))), f64x2.splat(0)));
}

/** x^y for y in 2, 3, ½ and −½, the same in all lanes. */
function powUsual(x: v128, y: f32): v128 {
  if (y == 2) return f32x4.mul(x, x);
  if (y == 3) return cube(x);
  let low = root(lowHalf(x));
  let high = root(highHalf(x));
  if (y < 0) {
    low = f64x2.div(splat64(ONE_64), low);
    high = f64x2.div(splat64(ONE_64), high);
  }
  return rounded(low, high);
}

// @ts-ignore: decorator
@inline
function isUsual(y: v128): v128 {
  const integer = v128.or(f32x4.eq(y, splat(TWO)), f32x4.eq(y, splat(THREE)));
  return v128.or(integer, f32x4.eq(f32x4.abs(y), splat(HALF)));
}

function power(x: f32, y: f32): f32 {
  if (y == 2 || y == 3 || y == 0.5 || y == -0.5) return f32x4.extract_lane(powUsual(f32x4.splat(x), y), 0);
  return <f32>Math.pow(x, y);
}

/** x^y where lanes differ in kind: the `special` ones on their own. */
function powMixed(x: v128, y: v128, special: v128): v128 {
  let z = f32x4.splat(power(f32x4.extract_lane(x, 0), f32x4.extract_lane(y, 0)));
  z = f32x4.replace_lane(z, 1, power(f32x4.extract_lane(x, 1), f32x4.extract_lane(y, 1)));
  z = f32x4.replace_lane(z, 2, power(f32x4.extract_lane(x, 2), f32x4.extract_lane(y, 2)));
  z = f32x4.replace_lane(z, 3, power(f32x4.extract_lane(x, 3), f32x4.extract_lane(y, 3)));
  return v128.bitselect(z, powFinite(x, y), special);
}

/** x^y as JavaScript's `x ** y`: 1 for y = 0, NaN for (±1)^{±∞} and for x < 0 with y no integer. */
// @ts-ignore: decorator
@inline
export function pow(x: v128, y: v128): v128 {
  const usual = isUsual(y);
  const first = f32x4.extract_lane(y, 0);
  if (i32x4.all_true(v128.and(usual, f32x4.eq(y, f32x4.splat(first))))) return powUsual(x, first);
  const finite = v128.and(f32x4.lt(f32x4.abs(x), splat(INFINITY)), f32x4.lt(f32x4.abs(y), splat(INFINITY)));
  const special = v128.or(usual, v128.not(finite));
  return v128.any_true(special) ? powMixed(x, y, special) : powFinite(x, y);
}
