import { broadcastTo, expandDims, eye, slice, type Tensor } from "@fmmformer/autodiff";
import type { Attention } from "../attention/attention.ts";
import type { Blend } from "../attention/blend.ts";
import type { FmmParams } from "../attention/fmm.ts";
import { attention } from "../attention/kinds.ts";
import type { Call } from "../layers/layer.ts";
import type { Matrix } from "./heat-map.ts";
import { sizesOf, type WatchedModel, watchAttention } from "./watch-attention.ts";

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
  options: WatchedModel,
  params: unknown,
  tokens: Tensor,
  { layer = 0, head = 0 }: ReadFieldsOptions = {},
): { readonly near: Matrix; readonly far: Matrix } {
  const sizes = sizesOf(options);
  const seen = watchAttention<FmmParams>(options, params, tokens);
  if (!(layer in seen) || !(head >= 0 && head < sizes.heads)) {
    throw new RangeError(
      `readFields: expected layer < ${seen.length} and head < ${sizes.heads}, got ${layer} and ${head}`,
    );
  }
  const { params: own, q, k, call } = seen[layer];
  const n = tokens.size;
  const read = (blend: Blend): Matrix => {
    const alone = attention({ ...options.attention, blend }, { ...sizes, headWidth: n });
    const part = (x: Tensor): Tensor => slice(x, [0, head], [1, head + 1]); // (1, 1, n, d)
    const bias = own.near?.bias;
    const ofHead = { near: bias ? { bias: slice(bias, [head], [head + 1]) } : {}, far: {}, blend: {} };
    return { rows: n, columns: n, data: alone.apply(ofHead, part(q), part(k), identities(n), call).data };
  };
  return { near: read({ near: 1, far: 0 }), far: read({ near: 0, far: 1 }) };
}

/**
 * Read how much each query of a trained model attends to each key, in every layer and head.
 *
 * @param options - of a model whose attention is of kind "softmax"
 * @param tokens - int32 (n), one sequence
 * @param call.mask - (n), 1 at a token, 0 at padding, to which nothing attends; all are tokens unless told
 * @returns layers · heads matrices (n, n), whose rows sum to 1
 * @throws TypeError when the attention is of another kind
 */
export function attentionMaps(
  options: WatchedModel,
  params: unknown,
  tokens: Tensor,
  call: Pick<Call, "mask"> = {},
): Matrix[] {
  if (options.attention.kind !== "softmax") {
    throw new TypeError(`attentionMaps: expected attention of kind softmax, got ${options.attention.kind}`);
  }
  const sizes = sizesOf(options);
  const n = tokens.size;
  const alone = attention(options.attention, { ...sizes, headWidth: n }) as Attention<unknown>;
  return watchAttention(options, params, tokens, call).flatMap(({ params: own, q, k, call }) => {
    const { data } = alone.apply(own, q, k, broadcastTo(identities(n), [1, sizes.heads, n, n]), call); // (1, h, n, n)
    return Array.from({ length: sizes.heads }, (_, head) => ({
      ...{ rows: n, columns: n },
      data: data.subarray(head * n * n, (head + 1) * n * n),
    }));
  });
}

/** (1, 1, n, n) */
function identities(n: number): Tensor {
  return expandDims(expandDims(eye(n), 0), 0);
}
