import {
  add,
  broadcastTo,
  concat,
  expandDims,
  greaterEqual,
  iota,
  split,
  squeeze,
  type Tensor,
  tensor,
  where,
  zeros,
} from "@fmmformer/autodiff";
import { shifted } from "@fmmformer/kernels";
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
export function shiftedTokens(
  k: Tensor,
  v: Tensor,
  { x, mask = null }: AttentionCall,
  by: number,
): Tokens & { readonly mask: Tensor } {
  const rows = x.shape.slice(0, -1); // (…b, n)
  const late = mask && squeeze(shifted(expandDims(mask, -1), by), -1);
  const there = broadcastTo(greaterEqual(iota(rows[rows.length - 1]), by), rows);
  return { k: shifted(k, by), v: shifted(v, by), x: shifted(x, by), mask: late ? where(there, late, 0) : there };
}

/** The last tokens, the earliest first: as many as it takes until one leaves. */
export interface LeavingTokens extends Tokens {
  /** () int32, how many tokens there have been */
  readonly count: Tensor;
}

/** No tokens yet, of which each leaves after `after` others. */
export function noneLeaving(
  after: number,
  { width, heads, headWidth }: AttentionSizes,
  { batch, dtype }: Required<StartOptions>,
): LeavingTokens {
  const rows = zeros([...batch, heads, after, headWidth], { dtype });
  return { k: rows, v: rows, x: zeros([...batch, after, width], { dtype }), count: tensor(0, { dtype: "int32" }) };
}

/** The token that leaves when another comes, hidden where there has been none. */
export function leave(
  came: Tokens,
  { count, ...waiting }: LeavingTokens,
): Tokens & { readonly mask: Tensor; readonly leaving: LeavingTokens } {
  const [k, v, x] = (["k", "v", "x"] as const).map((name) =>
    split(concat([waiting[name], came[name]], { axis: -2 }), [1], { axis: -2 }),
  );
  const been = greaterEqual(count, waiting.k.shape[waiting.k.shape.length - 2]);
  return {
    k: k[0],
    v: v[0],
    x: x[0],
    mask: broadcastTo(been, x[0].shape.slice(0, -1)),
    leaving: { k: k[1], v: v[1], x: x[1], count: add(count, 1) },
  };
}
