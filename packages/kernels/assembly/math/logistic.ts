import { exp } from "./exp";
import { ONE, SIGN, splat } from "./splat";

const HALF = memory.data<f32>([0.5]);
const TWO = memory.data<f32>([2]);
const ZERO = memory.data<f32>([0]);
/** (log1p(e) − 2s) / s³ in powers of s², s = e / (2 + e), e in [0, 1]: minimax, relative error 2⁻³³ of log1p(e). */
const W = memory.data<f32>([0.66666675, 0.39998877, 0.28616884, 0.21427658, 0.24300933]);

/**
 * 1 / (1 + e^{−x}) = b − b e / (1 + e) with e = e^{−|x|} and b = e for x < 0, else 1: precise down to the subnormals,
 * and the rounding of 1 + e is damped by e.
 */
// @ts-ignore: decorator
@inline
export function sigmoid(x: v128): v128 {
  const e = exp(v128.or(x, splat(SIGN)));
  const b = v128.bitselect(e, splat(ONE), i32x4.shr_s(x, 31));
  return f32x4.sub(b, f32x4.mul(b, f32x4.div(e, f32x4.add(splat(ONE), e))));
}

/**
 * log(1 + e^x) = max(x, 0) + log1p(e) with e = e^{−|x|}. Of log1p(e) = e − s (e − s² W(s²)), h = e²/2 is split off, so
 * that the rounding of s matters less: log1p(e) = e − (h − s (h + s² W(s²))). e is added last.
 */
// @ts-ignore: decorator
@inline
export function softplus(x: v128): v128 {
  const e = exp(v128.or(x, splat(SIGN)));
  const s = f32x4.div(e, f32x4.add(splat(TWO), e));
  const z = f32x4.mul(s, s);
  let w = f32x4.add(f32x4.mul(splat(W + 16), z), splat(W + 12));
  w = f32x4.add(f32x4.mul(w, z), splat(W + 8));
  w = f32x4.add(f32x4.mul(w, z), splat(W + 4));
  w = f32x4.add(f32x4.mul(w, z), splat(W));
  const h = f32x4.mul(f32x4.mul(e, e), splat(HALF));
  const beyond = f32x4.sub(h, f32x4.mul(s, f32x4.add(h, f32x4.mul(z, w))));
  return f32x4.add(e, f32x4.sub(f32x4.pmax(x, splat(ZERO)), beyond));
}

/** 1 / (1 + e^{−x}) in double precision, in the same way. */
export function sigmoid64(x: f64): f64 {
  const e = Math.exp(-Math.abs(x));
  const b = x < 0 ? e : 1;
  return b - b * (e / (1 + e));
}

/** log(1 + e^x) in double precision. */
export function softplus64(x: f64): f64 {
  return Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)));
}
