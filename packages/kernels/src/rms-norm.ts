import { add, customVjp, mean, mul, rsqrt, sub, type Tensor } from "@fmmformer/autodiff";
import { sumTo } from "@fmmformer/autodiff/extend";
import { expectShape } from "./expect-shape.ts";

/**
 * Bring each row to mean square 1, then stretch it by what was learned:
 *
 *     y = gain · x / √(mean x² + ε)
 *
 * @param x - (…, c)
 * @param gain - (c)
 * @param options.eps - ε, default 1e-5
 * @returns (…, c)
 * @throws ShapeError when gain is not (c)
 * @see Zhang, Sennrich (2019), Root mean square layer normalization, https://arxiv.org/abs/1910.07467
 */
export function rmsNorm(x: Tensor, gain: Tensor, options: { readonly eps?: number } = {}): Tensor {
  expectShape("rmsNorm", "gain", gain, [], { c: x.shape[x.shape.length - 1] });
  return rmsNormOp(x, gain, { eps: options.eps ?? 1e-5 });
}

const rmsNormOp = customVjp({
  name: "rmsNorm",
  forward(x: Tensor, gain: Tensor, { eps }: { readonly eps: number }) {
    const inverse = rsqrt(add(rowMean(mul(x, x)), eps)); // (…, 1)
    return [mul(mul(x, inverse), gain), { x, gain, inverse }];
  },
  // With y the row before the gain, and h = g · gain: dx = (h − y · mean(h · y)) / √(mean x² + ε).
  pullback({ x, gain, inverse }, g, needs) {
    const y = mul(x, inverse);
    const h = mul(g, gain);
    return [
      needs[0] ? sumTo(mul(inverse, sub(h, mul(y, rowMean(mul(h, y))))), x.shape) : null,
      needs[1] ? sumTo(mul(g, y), gain.shape) : null,
      null,
    ];
  },
  leading: [1, 1, 0],
});

function rowMean(x: Tensor): Tensor {
  return mean(x, { axis: -1, keepDims: true });
}
