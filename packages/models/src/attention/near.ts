import { type Tensor, zeros } from "@fmmformer/autodiff";
import { nearField, sidesOf } from "@fmmformer/kernels";
import { turning } from "../layers/positions.ts";
import type { Attention, AttentionRecurrence, AttentionSizes } from "./attention.ts";
import { attendToRecent, noTokens, type RecentTokens } from "./recent-tokens.ts";

export interface NearOptions {
  readonly bandwidth: number;
  readonly relativeBias: boolean;
  readonly rotary: boolean;
  readonly dropout: number;
}

export interface NearParams {
  /** (h, slots) what each diagonal adds to the scores; absent without `relativeBias` */
  readonly bias?: Tensor;
}

/** Softmax over a band. */
export function near(options: NearOptions, sizes: AttentionSizes): Attention<NearParams> {
  const { heads, causal } = sizes;
  const { bandwidth, relativeBias, dropout: rate } = options;
  const { left, right } = sidesOf({ bandwidth, causal });
  const turn = turning(options.rotary);
  return {
    init: () => (relativeBias ? { bias: zeros([heads, left + right + 1]) } : {}),
    apply: ({ bias = null }, q, k, v, { mask = null, key }) =>
      nearField(turn(q), turn(k), v, {
        bandwidth,
        causal,
        mask,
        bias,
        dropout: key && rate > 0 ? { rate, key } : null,
      }), // (…b, h, n, m)
    ...(causal && {
      recurrence: (): AttentionRecurrence<NearParams, RecentTokens> => ({
        start: (options) => noTokens(bandwidth, sizes, options),
        step: ({ bias = null }, q, k, v, _, recent) =>
          attendToRecent(turn(q, recent.count), turn(k, recent.count), v, recent, bias),
      }),
    }),
  };
}
