import { expandDims, eye, slice, type Tensor } from "@fmmformer/autodiff";
import type { Attention, AttentionCall } from "../attention/attention.ts";
import type { FmmParams } from "../attention/fmm.ts";
import { type AttentionOptions, attention } from "../attention/kinds.ts";
import { type FmmformerOptions, fmmformer } from "../fmmformer.ts";
import type { Matrix } from "./heat-map.ts";

/** Which weights to read. */
export interface ReadFieldsOptions {
  /** From 0; 0 unless told */
  readonly layer?: number;
  /** From 0; 0 unless told */
  readonly head?: number;
}

/**
 * Read how much each query of a trained model attends to each key, in either field and before they are blended.
 *
 * Attention is linear in its values: identities in their place give the weights, as the ops compute them.
 *
 * @param options - of a model whose attention is of kind "fmm"
 * @param params - of that model
 * @param tokens - int32 (n), one sequence
 * @returns the near and the far field's weights, (n, n) each
 * @throws RangeError when there is no such layer or head
 */
export function readFields(
  options: Omit<FmmformerOptions, "attention"> & { readonly attention: AttentionOptions },
  params: unknown,
  tokens: Tensor,
  { layer = 0, head = 0 }: ReadFieldsOptions = {},
): { readonly near: Matrix; readonly far: Matrix } {
  const { width = 64, heads = 2, headWidth = width / heads, causal = false } = options;
  const sizes = { width, heads, headWidth, causal };
  const whole = attention(options.attention, sizes) as Attention<FmmParams>;
  const seen: { params: FmmParams; q: Tensor; k: Tensor; call: AttentionCall }[] = [];
  const watching: Attention<FmmParams> = {
    init: whole.init,
    apply(own, q, k, v, call) {
      seen.push({ params: own, q, k, call });
      return whole.apply(own, q, k, v, call);
    },
  };
  fmmformer({ ...options, attention: watching as Attention }).apply(params as never, expandDims(tokens, 0));
  if (!(layer in seen) || !(head >= 0 && head < heads)) {
    throw new RangeError(`readFields: expected layer < ${seen.length} and head < ${heads}, got ${layer} and ${head}`);
  }
  const { params: own, q, k, call } = seen[layer];
  const n = tokens.size;
  const read = (kind: "band" | "linear"): Matrix => {
    const alone = attention({ ...options.attention, kind }, { ...sizes, headWidth: n });
    const identities = expandDims(expandDims(eye(n), 0), 0); // (1, 1, n, n)
    const part = (x: Tensor): Tensor => slice(x, [0, head], [1, head + 1]); // (1, 1, n, d)
    const bias = own.near?.bias;
    const ofHead = { near: bias ? { bias: slice(bias, [head], [head + 1]) } : {}, far: {}, blend: {} };
    return { rows: n, columns: n, data: alone.apply(ofHead, part(q), part(k), identities, call).data };
  };
  return { near: read("band"), far: read("linear") };
}
