import { div, exp, max, stopGradient, sub, sum, type Tensor, where } from "@fmmformer/autodiff";

/** e^x / Σ e^x of each row over the entries kept; the others are 0, as are rows of which none is. */
export function softmaxOver(kept: Tensor, x: Tensor): Tensor {
  const largest = stopGradient(max(where(kept, x, -1e30), { axis: -1, keepDims: true }));
  const e = where(kept, exp(where(kept, sub(x, largest), 0)), 0);
  const total = sum(e, { axis: -1, keepDims: true });
  return div(e, where(total, total, 1));
}
