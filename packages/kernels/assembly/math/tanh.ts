import { beyondLinear, binaryExponent, remainder, scaledExpm1 } from "./exp";
import { splat, withSign } from "./splat";

const TWO = memory.data<f32>([2]);
/** tanh(10) rounds to 1. */
const END = memory.data<f32>([10]);
/** Below, a polynomial: the quotient loses more than 2 ulp where a power of two lies between u / 2 and u / (u + 2). */
const NEAR = memory.data<f32>([0.4]);
/** tanh(a) = a + a³ P(a²) on [0, 0.4]: minimax, relative error 2⁻²⁹. */
const P = memory.data<f32>([-0.333333, 0.13331214, -0.053561937, 0.018744063]);

/** tanh |x| = u / (u + 2) with u = e^{2|x|} − 1, or a polynomial near 0, and the sign of x. */
// @ts-ignore: decorator
@inline
export function tanh(x: v128): v128 {
  const a = f32x4.pmin(f32x4.abs(x), splat(END));
  const z = f32x4.mul(a, a);
  const low = f32x4.add(splat(P), f32x4.mul(splat(P + 4), z));
  const high = f32x4.add(splat(P + 8), f32x4.mul(splat(P + 12), z));
  const p = f32x4.add(low, f32x4.mul(f32x4.mul(z, z), high));
  const near = f32x4.add(a, f32x4.mul(f32x4.mul(a, z), p));

  const twice = f32x4.add(a, a);
  const shifted = binaryExponent(twice);
  const r = remainder(twice, shifted);
  const u = scaledExpm1(f32x4.add(r, beyondLinear(r)), shifted);
  const far = f32x4.div(u, f32x4.add(u, splat(TWO)));
  return withSign(v128.bitselect(near, far, f32x4.lt(a, splat(NEAR))), x);
}

/** tanh x in double precision; near 0, tanh a = a + ((u − 2a) − a u) / (u + 2) with u = e^{2a} − 1. */
export function tanh64(x: f64): f64 {
  const a = Math.abs(x);
  if (!(a < 0.5)) return Math.tanh(x);
  const u = Math.expm1(2 * a);
  return copysign<f64>(a + (u - 2 * a - a * u) / (u + 2), x);
}
