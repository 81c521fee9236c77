import {
  add,
  cast,
  expandDims,
  ones,
  onesLike,
  ShapeError,
  showShape,
  squeeze,
  type Tensor,
  where,
} from "@fmmformer/autodiff";
import { bandDot, checkSides, type Sides } from "./band.ts";
import { expectShape } from "./expect-shape.ts";
import { maskedSoftmax } from "./masked-softmax.ts";

/** Which slots of a band count, and what is added to them. */
export interface BandSoftmaxOptions extends Sides {
  /** (…b, n), 1 or true keeps a key. */
  readonly mask?: Tensor | null;
  /** (h, slots), a number for each head and diagonal. */
  readonly bias?: Tensor | null;
}

/** Logits with their bias, −∞ in slots whose key is outside the sequence or masked. Leading axes of mask and bias broadcast. */
export function bandLogits(band: Tensor, mask: Tensor | null, bias: Tensor | null, sides: Sides): Tensor {
  const [n] = band.shape.slice(-2);
  const keys = expandDims(mask ? expandDims(mask, -2) : ones([n]), -1); // (…b, 1, n, 1)
  const kept = cast(bandDot(onesLike(keys), keys, sides), "bool"); // (…b, 1, n, slots)
  return where(kept, bias ? add(band, expandDims(bias, -2)) : band, -Infinity);
}

function checkedLogits(op: string, band: Tensor, { mask = null, bias = null, ...rest }: BandSoftmaxOptions): Tensor {
  const sides = checkSides(op, rest);
  const slots = sides.left + sides.right + 1;
  if (band.shape.length < 3)
    throw new ShapeError(`${op}: expected band (…b, h, n, slots), got ${showShape(band.shape)}`);
  const [h, n] = band.shape.slice(-3);
  const lead = band.shape.slice(0, -3);
  expectShape(op, "band", band, lead, { h, n, slots });
  if (mask) expectShape(op, "mask", mask, lead, { n });
  if (bias) expectShape(op, "bias", bias, [], { h, slots });
  return bandLogits(band, mask, bias, sides);
}

/**
 * Take the softmax of each row of a band, over the slots whose key is inside the sequence and not masked:
 *
 *     p_it = e^{x_it + b_t} / Σ_t e^{x_it + b_t}
 *
 * Other slots are exactly 0, and a row without any key is 0 throughout, with gradient 0. Shifted by the largest logit, nothing overflows.
 *
 * @param band - (…b, h, n, left + right + 1) logits
 * @param options - the sides of the band, a mask of keys (…b, n), a bias (h, slots)
 * @returns the shape of `band`, in O(n·w) time
 * @throws ShapeError when the sizes differ, RangeError when left or right is no integer ≥ 0
 */
export function bandSoftmax(band: Tensor, options: BandSoftmaxOptions): Tensor {
  return maskedSoftmax(checkedLogits("bandSoftmax", band, options)).weights;
}

/**
 * The logarithms of the normalisers of `bandSoftmax`:
 *
 *     L_i = ln Σ_t e^{x_it + b_t},   −∞ for a row without any key
 *
 * @param band - (…b, h, n, left + right + 1) logits
 * @param options - as for `bandSoftmax`
 * @returns (…b, h, n), in O(n·w) time
 * @throws ShapeError when the sizes differ, RangeError when left or right is no integer ≥ 0
 */
export function bandLogSumExp(band: Tensor, options: BandSoftmaxOptions): Tensor {
  return squeeze(maskedSoftmax(checkedLogits("bandLogSumExp", band, options)).logSumExp, -1);
}
