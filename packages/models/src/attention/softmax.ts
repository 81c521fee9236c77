import type { Tensor } from "@fmmformer/autodiff";
import { fullAttention } from "@fmmformer/kernels";
import { rotary } from "../layers/positions.ts";
import type { Attention, AttentionSizes } from "./attention.ts";

export interface SoftmaxOptions {
  readonly rotary: boolean;
  readonly dropout: number;
}

/** Softmax over all pairs, in O(n²). */
export function softmax(options: SoftmaxOptions, { causal }: AttentionSizes): Attention<Record<never, never>> {
  const turn = options.rotary ? rotary : (x: Tensor): Tensor => x;
  const { dropout: rate } = options;
  return {
    init: () => ({}),
    apply: (_, q, k, v, { mask = null, key }) =>
      fullAttention(turn(q), turn(k), v, { causal, mask, dropout: key && rate > 0 ? { rate, key } : null }), // (…b, h, n, m)
  };
}
