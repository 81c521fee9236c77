import {
  add,
  concat,
  expandDims,
  greaterEqual,
  iota,
  matmul,
  mul,
  ShapeError,
  showShape,
  softmax,
  split,
  swapAxes,
  type Tensor,
  tensor,
  where,
  zeros,
} from "@fmmformer/autodiff";
import type { StartOptions } from "../layers/layer.ts";
import type { AttentionSizes } from "./attention.ts";

/** The keys and values of the last tokens, the earliest first. */
export interface RecentTokens {
  /** (…b, h, reach − 1, d) */
  readonly keys: Tensor;
  /** (…b, h, reach − 1, m) */
  readonly values: Tensor;
  /** () int32, how many tokens there have been */
  readonly count: Tensor;
}

/** Remember reach − 1 tokens, of which there have been none. */
export function noTokens(
  reach: number,
  { heads, headWidth }: AttentionSizes,
  { batch, dtype }: Required<StartOptions>,
): RecentTokens {
  const rows = zeros([...batch, heads, reach - 1, headWidth], { dtype });
  return { keys: rows, values: rows, count: tensor(0, { dtype: "int32" }) };
}

/**
 * Attend from one token to itself and those remembered, by a softmax.
 *
 * @param q - (…b, h, 1, d)
 * @param bias - (h, reach) added to the scores
 * @returns (…b, h, 1, m), and the last reach − 1 tokens, this one with them
 * @throws ShapeError when the batch is another
 */
export function attendToRecent(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  recent: RecentTokens,
  bias: Tensor | null = null,
): readonly [Tensor, RecentTokens] {
  const [batch, started] = [k, recent.keys].map(({ shape }) => shape.slice(0, -3));
  if (showShape(batch) !== showShape(started)) {
    throw new ShapeError(
      `recurrence: expected tokens of the batch ${showShape(started)} that it started with, got ${showShape(batch)}; ` +
        "give start the batch of the tokens",
    );
  }
  const keys = concat([recent.keys, k], { axis: -2 }); // (…b, h, reach, d)
  const values = concat([recent.values, v], { axis: -2 });
  const [reach, d] = keys.shape.slice(-2);
  const scores = mul(matmul(q, swapAxes(keys, -1, -2)), 1 / Math.sqrt(d)); // (…b, h, 1, reach)
  const been = greaterEqual(add(iota(reach), recent.count), reach - 1);
  const weights = softmax(where(been, bias ? add(scores, expandDims(bias, -2)) : scores, -Infinity), { axis: -1 });
  return [
    matmul(weights, values),
    {
      keys: split(keys, [1], { axis: -2 })[1],
      values: split(values, [1], { axis: -2 })[1],
      count: add(recent.count, 1),
    },
  ];
}
