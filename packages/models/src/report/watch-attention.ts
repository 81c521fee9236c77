import { expandDims, type Tensor } from "@fmmformer/autodiff";
import type { Attention, AttentionCall, AttentionSizes } from "../attention/attention.ts";
import { type AttentionOptions, attention } from "../attention/kinds.ts";
import { type FmmformerOptions, fmmformer } from "../fmmformer.ts";
import type { Call } from "../layers/layer.ts";

/** A model whose attention is one of ours. */
export type WatchedModel = Omit<FmmformerOptions, "attention"> & { readonly attention: AttentionOptions };

/** What the attention of one layer was given. */
export interface Watched<Params> {
  readonly params: Params;
  /** (1, h, n, d) */
  readonly q: Tensor;
  /** (1, h, n, d) */
  readonly k: Tensor;
  readonly call: AttentionCall;
}

/** The sizes of a model's attention. */
export function sizesOf({ width = 64, heads = 2, headWidth, causal = false }: WatchedModel): AttentionSizes {
  return { width, heads, headWidth: headWidth ?? width / heads, causal };
}

/** Run a model on one sequence and see what its attention is given, layer by layer; a mask (n) marks what is no padding. */
export function watchAttention<Params>(
  options: WatchedModel,
  params: unknown,
  tokens: Tensor,
  { mask = null }: Pick<Call, "mask"> = {},
): Watched<Params>[] {
  const whole = attention(options.attention, sizesOf(options)) as Attention<Params>;
  const seen: Watched<Params>[] = [];
  const watching: Attention<Params> = {
    init: whole.init,
    apply(own, q, k, v, call) {
      seen.push({ params: own, q, k, call });
      return whole.apply(own, q, k, v, call);
    },
  };
  fmmformer({ ...options, attention: watching as Attention }).apply(params as never, expandDims(tokens, 0), {
    mask: mask && expandDims(mask, 0),
  });
  return seen;
}
