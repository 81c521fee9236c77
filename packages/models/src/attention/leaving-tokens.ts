import {
  add,
  broadcastTo,
  concat,
  expandDims,
  greaterEqual,
  iota,
  pad,
  slice,
  split,
  squeeze,
  type Tensor,
  tensor,
  where,
  zeros,
} from "@fmmformer/autodiff";
import type { StartOptions } from "../layers/layer.ts";
import type { AttentionCall, AttentionSizes } from "./attention.ts";

// Where fields are disjoint, a token comes to the far field when it leaves the band.

/** Keys and values, and what they were made from. */
interface Tokens {
  /** (…b, h, n, d) */
  readonly k: Tensor;
  /** (…b, h, n, m) */
  readonly v: Tensor;
  /** (…b, n, c) */
  readonly x: Tensor;
}

/** The tokens of a sequence as many places later, and a mask that hides what is before the first. */
export function leftTokens(
  { k, v, x }: Tokens,
  { mask = null }: Pick<AttentionCall, "mask">,
  after: number,
): Tokens & { readonly mask: Tensor } {
  const rows = x.shape.slice(0, -1); // (…b, n)
  const n = rows[rows.length - 1];
  const later = (t: Tensor): Tensor => {
    const widths = t.shape.map((_, axis): [number, number] => (axis === t.shape.length - 2 ? [after, 0] : [0, 0]));
    return slice(pad(t, widths), [], [...t.shape.slice(0, -2), n]); // (…, n, c)
  };
  const been = broadcastTo(greaterEqual(iota(n), after), rows);
  const kept = mask && squeeze(later(expandDims(mask, -1)), -1);
  return { k: later(k), v: later(v), x: later(x), mask: kept ? where(been, kept, 0) : been };
}

/** The last tokens, the earliest first: as many as it takes until one leaves. */
export interface LeavingTokens extends Omit<Tokens, "x"> {
  /** Absent where only keys and values are asked for */
  readonly x?: Tensor;
  /** () int32, how many tokens there have been */
  readonly count: Tensor;
}

/** No tokens yet, of which each leaves after `after` others; with x where told. */
export function noneLeaving(
  { after, withX }: { readonly after: number; readonly withX: boolean },
  { width, heads, headWidth }: AttentionSizes,
  { batch, dtype }: Required<StartOptions>,
): LeavingTokens {
  const rows = zeros([...batch, heads, after, headWidth], { dtype });
  const count = tensor(0, { dtype: "int32" });
  return { k: rows, v: rows, ...(withX && { x: zeros([...batch, after, width], { dtype }) }), count };
}

/** The token that leaves when another comes, hidden where there has been none; its x is that of the other where x is not kept. */
export function leave(
  came: Tokens,
  { k, v, x, count }: LeavingTokens,
): Tokens & { readonly mask: Tensor; readonly leaving: LeavingTokens } {
  const pushed = (waiting: Tensor, next: Tensor): Tensor[] =>
    split(concat([waiting, next], { axis: -2 }), [1], { axis: -2 });
  const [firstK, restK] = pushed(k, came.k);
  const [firstV, restV] = pushed(v, came.v);
  const [firstX, restX] = x ? pushed(x, came.x) : [came.x];
  const been = greaterEqual(count, k.shape[k.shape.length - 2]);
  return {
    ...{ k: firstK, v: firstV, x: firstX, mask: broadcastTo(been, came.x.shape.slice(0, -1)) },
    leaving: { k: restK, v: restV, ...(restX && { x: restX }), count: add(count, 1) },
  };
}
