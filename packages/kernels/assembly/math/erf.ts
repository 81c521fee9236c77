import { beyondLinear, binaryExponent, remainder, scaledExpm1 } from "./exp";
import { SIGN, splat, withSign } from "./splat";

/** erf(3.95) rounds to 1. */
const END = memory.data<f32>([-3.95]);
/**
 * log(1 − erf |x|) / m − 1 in powers of m = −|x| on [−3.93, 0]: minimax, weighted so that the relative error of erf
 * is 2⁻²⁸.
 */
const Q = memory.data<f32>([
  0.12837917, -0.6366194, 0.10277783, 0.019153064, -0.0001603948, -0.001667026, -0.0006328359, -0.00011764096,
  -9.256226e-6,
]);

/**
 * erf |x| = 1 − e^y with y = m + m Q(m), m = −|x|, and the sign of x. What is lost in
 * rounding the sum y is handed on: near 0 it would be twice as many ulps of the result.
 */
// @ts-ignore: decorator
@inline
export function erf(x: v128): v128 {
  const m = f32x4.pmax(v128.or(x, splat(SIGN)), splat(END));
  const m2 = f32x4.mul(m, m);
  const m4 = f32x4.mul(m2, m2);
  const q01 = f32x4.add(splat(Q), f32x4.mul(splat(Q + 4), m));
  const q23 = f32x4.add(splat(Q + 8), f32x4.mul(splat(Q + 12), m));
  const q45 = f32x4.add(splat(Q + 16), f32x4.mul(splat(Q + 20), m));
  const q67 = f32x4.add(splat(Q + 24), f32x4.mul(splat(Q + 28), m));
  const low = f32x4.add(q01, f32x4.mul(m2, q23));
  const high = f32x4.add(f32x4.add(q45, f32x4.mul(m2, q67)), f32x4.mul(m4, splat(Q + 32)));
  const z = f32x4.mul(m, f32x4.add(low, f32x4.mul(m4, high)));
  const y = f32x4.add(m, z);
  const lost = f32x4.sub(z, f32x4.sub(y, m));
  const shifted = binaryExponent(y);
  const r = remainder(y, shifted);
  return withSign(scaledExpm1(f32x4.add(r, f32x4.add(beyondLinear(r), lost)), shifted), x);
}

// In double precision: rational approximations on five intervals, from Sun Microsystems (1993), fdlibm s_erf.c.

const NEAR_P = memory.data<f64>([
  1.28379167095512558561e-1, -3.2504210724700149937e-1, -2.84817495755985104766e-2, -5.77027029648944159157e-3,
  -2.37630166566501626084e-5,
]);
const NEAR_Q = memory.data<f64>([
  1, 3.97917223959155352819e-1, 6.50222499887672944485e-2, 5.08130628187576562776e-3, 1.32494738004321644526e-4,
  -3.9602282787753681232e-6,
]);
const ONE_P = memory.data<f64>([
  -2.36211856075265944077e-3, 4.14856118683748331666e-1, -3.72207876035701323847e-1, 3.18346619901161753674e-1,
  -1.10894694282396677476e-1, 3.54783043256182359371e-2, -2.166375594868790843e-3,
]);
const ONE_Q = memory.data<f64>([
  1, 1.06420880400844228286e-1, 5.40397917702171048937e-1, 7.18286544141962662868e-2, 1.26171219808761642112e-1,
  1.36370839120290507362e-2, 1.1984499846799107417e-2,
]);
const FAR_P = memory.data<f64>([
  -9.86494403484714822705e-3, -6.93858572707181764372e-1, -1.05586262253232909814e1, -6.23753324503260060396e1,
  -1.62396669462573470355e2, -1.84605092906711035994e2, -8.12874355063065934246e1, -9.81432934416914548592,
]);
const FAR_Q = memory.data<f64>([
  1, 1.96512716674392571292e1, 1.376577541435190426e2, 4.34565877475229228821e2, 6.45387271733267880336e2,
  4.29008140027567833386e2, 1.08635005541779435134e2, 6.57024977031928170135, -6.04244152148580987438e-2,
]);
const FARTHER_P = memory.data<f64>([
  -9.86494292470009928597e-3, -7.99283237680523006574e-1, -1.77579549177547519889e1, -1.60636384855821916062e2,
  -6.37566443368389627722e2, -1.02509513161107724954e3, -4.83519191608651397019e2,
]);
const FARTHER_Q = memory.data<f64>([
  1, 3.03380607434824582924e1, 3.25792512996573918826e2, 1.53672958608443695994e3, 3.19985821950859553908e3,
  2.55305040643316442583e3, 4.74528541206955367215e2, -2.24409524465858183362e1,
]);
/** erf(1), rounded so that the correction on [0.84, 1.25] is small. */
const AT_ONE: f64 = 8.45062911510467529297e-1;

function polynomial(coefficients: usize, degree: usize, x: f64): f64 {
  let y: f64 = 0;
  for (let c = coefficients + (degree << 3); c >= coefficients; c -= 8) y = y * x + load<f64>(c);
  return y;
}

/** erf(x) = 2/√π ∫₀ˣ e^{−t²} dt in double precision. */
export function erf64(x: f64): f64 {
  const a = Math.abs(x);
  if (a < 0.84375) {
    const z = x * x;
    return x + x * (polynomial(NEAR_P, 4, z) / polynomial(NEAR_Q, 5, z));
  }
  if (a < 1.25) return copysign<f64>(AT_ONE + polynomial(ONE_P, 6, a - 1) / polynomial(ONE_Q, 6, a - 1), x);
  if (a >= 6) return copysign<f64>(1, x);
  const s = 1 / (a * a);
  const ratio = a < 1 / 0.35
    ? polynomial(FAR_P, 7, s) / polynomial(FAR_Q, 8, s)
    : polynomial(FARTHER_P, 6, s) / polynomial(FARTHER_Q, 7, s);
  // e^{−a²} through a rounded to single, so that its square is exact.
  const z = <f64>(<f32>a);
  const tail = (Math.exp(-z * z - 0.5625) * Math.exp((z - a) * (z + a) + ratio)) / a;
  return copysign<f64>(1 - tail, x);
}
