import { ShapeError, showShape, type Tensor } from "@fmmformer/autodiff";
import { expectShape } from "./expect-shape.ts";

/** Sizes of what attention is applied to. */
export interface TokenSizes {
  readonly lead: readonly number[];
  readonly h: number;
  readonly n: number;
  readonly d: number;
  readonly m: number;
}

/**
 * Check that q and k are (…b, h, n, d), v (…b, h, n, m) and mask (…b, n).
 *
 * @throws ShapeError in the name of the op
 */
export function checkTokens(op: string, q: Tensor, k: Tensor, v: Tensor, mask: Tensor | null): TokenSizes {
  if (q.shape.length < 3) throw new ShapeError(`${op}: expected q (…b, h, n, d), got ${showShape(q.shape)}`);
  if (v.shape.length < 3) throw new ShapeError(`${op}: expected v (…b, h, n, m), got ${showShape(v.shape)}`);
  const lead = q.shape.slice(0, -3);
  const [h, n, d] = q.shape.slice(-3);
  expectShape(op, "k", k, lead, { h, n, d });
  const m = v.shape[v.shape.length - 1];
  expectShape(op, "v", v, lead, { h, n, m });
  if (mask) expectShape(op, "mask", mask, lead, { n });
  return { lead, h, n, d, m };
}
