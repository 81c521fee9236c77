import { add, gelu as composed, customVjp, erf, exp, mul, type Tensor } from "@fmmformer/autodiff";

/**
 * The Gaussian error linear unit, with a pullback that keeps x alone:
 *
 *     y = x Φ(x),   dx = g (Φ(x) + x e^{−x²/2} / √(2π)),   Φ(x) = ½ (1 + erf(x/√2))
 *
 * @param x - any shape
 * @see Hendrycks, Gimpel (2016), Gaussian error linear units, https://arxiv.org/abs/1606.08415
 */
export const gelu: (x: Tensor) => Tensor = customVjp({
  name: "gelu",
  kernel: true,
  forward: (x: Tensor) => [composed(x), x],
  pullback: (x, g) => [mul(g, slope(x))],
  leading: [0],
});

function slope(x: Tensor): Tensor {
  const cumulative = mul(0.5, add(1, erf(mul(x, Math.SQRT1_2))));
  const density = mul(1 / Math.sqrt(2 * Math.PI), exp(mul(-0.5, mul(x, x))));
  return add(cumulative, mul(x, density));
}
