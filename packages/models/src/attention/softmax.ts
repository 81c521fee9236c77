import { fullAttention } from "@fmmformer/kernels";
import { turning } from "../layers/positions.ts";
import type { Attention, AttentionRecurrence, AttentionSizes } from "./attention.ts";
import { attendToRecent, noTokens, type RecentTokens } from "./recent-tokens.ts";

export interface SoftmaxOptions {
  readonly rotary: boolean;
  readonly dropout: number;
}

/** Softmax over all pairs, in O(n²). */
export function softmax(options: SoftmaxOptions, sizes: AttentionSizes): Attention<Record<never, never>> {
  const { causal } = sizes;
  const { dropout: rate } = options;
  const turn = turning(options.rotary);
  return {
    init: () => ({}),
    apply: (_, q, k, v, { mask = null, key }) =>
      fullAttention(turn(q), turn(k), v, { causal, mask, dropout: key && rate > 0 ? { rate, key } : null }), // (…b, h, n, m)
    ...(causal && {
      recurrence: (length: number): AttentionRecurrence<Record<never, never>, RecentTokens> => ({
        start: (options) => noTokens(length, sizes, options),
        step: (_, q, k, v, __, recent) => attendToRecent(turn(q, recent.count), turn(k, recent.count), v, recent),
      }),
    }),
  };
}
