import { concat, slice, type Tensor, zeros } from "@fmmformer/autodiff";

/**
 * Move tokens to later places, or to earlier ones where `by` is negative. Zeros come in, and what leaves is lost.
 *
 * @param x - (…, n, c)
 * @returns (…, n, c): row i is row i − by of x
 */
export function shifted(x: Tensor, by: number): Tensor {
  const [n, c] = x.shape.slice(-2);
  const lead = x.shape.slice(0, -2);
  const moved = Math.min(Math.abs(by), n);
  const nothing = zeros([...lead, moved, c], { dtype: x.dtype });
  const kept = (from: number): Tensor => slice(x, [...lead.map(() => 0), from], [...lead, from + n - moved]);
  return by < 0 ? concat([kept(moved), nothing], { axis: -2 }) : concat([nothing, kept(0)], { axis: -2 });
}
