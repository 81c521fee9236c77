import { type Tensor, zeros } from "@fmmformer/autodiff";
import { nearField, sidesOf } from "@fmmformer/kernels";
import { rotary } from "../layers/positions.ts";
import type { Attention, AttentionSizes } from "./attention.ts";

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
export function near(options: NearOptions, { heads, causal }: AttentionSizes): Attention<NearParams> {
  const { bandwidth, relativeBias, dropout: rate } = options;
  const { left, right } = sidesOf({ bandwidth, causal });
  const turn = options.rotary ? rotary : (x: Tensor): Tensor => x;
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
  };
}
