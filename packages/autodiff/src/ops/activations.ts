import { isFloat } from "../dtype.ts";
import { cast } from "../primitives/cast.ts";
import { add, erf, expm1, greater, lessEqual, mul, sigmoid, tanh, where } from "../primitives/elementwise.ts";
import { asTensor, type Scalar, type Tensor } from "../tensor.ts";

/** max(x, 0), with derivative 0 at 0; NaN stays NaN. */
export function relu(x: Scalar): Tensor {
  return where(lessEqual(x, 0), 0, x);
}

/** x above 0, e^x − 1 below. */
export function elu(x: Scalar): Tensor {
  const t = floating("elu", x);
  const positive = greater(t, 0);
  // Bounded where it is not chosen, so that no ∞ meets a cotangent of 0.
  return where(positive, t, expm1(where(positive, 0, t)));
}

/** x σ(x). */
export function silu(x: Scalar): Tensor {
  return mul(x, sigmoid(x));
}

/**
 * x Φ(x), Φ the normal distribution function: ½ x (1 + erf(x/√2)).
 *
 * @param options.approximate - use ½ x (1 + tanh(√(2/π) (x + 0.044715 x³))) instead, off by up to 5·10⁻⁴
 * @see Hendrycks, Gimpel (2016), Gaussian error linear units, https://arxiv.org/abs/1606.08415
 */
export function gelu(x: Scalar, options: { readonly approximate?: boolean } = {}): Tensor {
  const t = floating("gelu", x);
  const half = mul(t, 0.5);
  if (!options.approximate) return mul(half, add(erf(mul(t, Math.SQRT1_2)), 1));
  const inner = mul(Math.sqrt(2 / Math.PI), add(t, mul(0.044715, mul(t, mul(t, t)))));
  return mul(half, add(tanh(inner), 1));
}

function floating(op: string, x: Scalar): Tensor {
  const t = asTensor(op, x);
  return isFloat(t.dtype) ? t : cast(t, "float32");
}
