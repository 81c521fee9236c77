import { add, customVjp, mean, mul, rsqrt, sub, type Tensor } from "@fmmformer/autodiff";
import { sumTo } from "@fmmformer/autodiff/extend";
import { expectShape } from "./expect-shape.ts";

/**
 * Bring each row to mean 0 and variance 1, then stretch and shift it by what was learned:
 *
 *     y = gain · (x − mean x) / √(var x + ε) + bias
 *
 * A constant row gives the bias. The pullback keeps the mean and 1/√(var x + ε) of each row and computes the rest again.
 *
 * @param x - (…, c)
 * @param gain - (c)
 * @param bias - (c)
 * @param options.eps - ε, default 1e-5
 * @returns (…, c)
 * @throws ShapeError when gain or bias is not (c)
 * @see Ba, Kiros, Hinton (2016), Layer normalization, https://arxiv.org/abs/1607.06450
 */
export function layerNorm(x: Tensor, gain: Tensor, bias: Tensor, options: { readonly eps?: number } = {}): Tensor {
  const c = x.shape[x.shape.length - 1];
  expectShape("layerNorm", "gain", gain, [], { c });
  expectShape("layerNorm", "bias", bias, [], { c });
  return layerNormOp(x, gain, bias, { eps: options.eps ?? 1e-5 });
}

const layerNormOp = customVjp({
  name: "layerNorm",
  kernel: true,
  forward(x: Tensor, gain: Tensor, bias: Tensor, { eps }: { readonly eps: number }) {
    const center = rowMean(x); // (…, 1)
    const centered = sub(x, center);
    const inverse = rsqrt(add(rowMean(mul(centered, centered)), eps)); // (…, 1)
    const y = add(mul(mul(centered, inverse), gain), bias);
    return [y, { x, gain, bias, center, inverse }];
  },
  // With y the row before gain and bias, and h = g · gain: dx = (h − mean h − y · mean(h · y)) / √(var x + ε).
  pullback({ x, gain, bias, center, inverse }, g, needs) {
    const y = mul(sub(x, center), inverse);
    const h = mul(g, gain);
    const along = add(rowMean(h), mul(y, rowMean(mul(h, y))));
    return [
      needs[0] ? sumTo(mul(inverse, sub(h, along)), x.shape) : null,
      needs[1] ? sumTo(mul(g, y), gain.shape) : null,
      needs[2] ? sumTo(g, bias.shape) : null,
      null,
    ];
  },
  leading: [1, 1, 1, 0],
});

function rowMean(x: Tensor): Tensor {
  return mean(x, { axis: -1, keepDims: true });
}
