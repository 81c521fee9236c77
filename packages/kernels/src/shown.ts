import { expandDims, type Tensor, where } from "@fmmformer/autodiff";

/** Keys or values (…b, h, n, d) with zeros where the mask (…b, n) hides the token, so that not even NaN there is felt. */
export function shown(x: Tensor, mask: Tensor | null): Tensor {
  return mask ? where(expandDims(expandDims(mask, -2), -1), x, 0) : x;
}
