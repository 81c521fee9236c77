import { random, reshape, swapAxes, type Tensor } from "@fmmformer/autodiff";
import type { InitialName } from "../layers/initial.ts";
import type { Layer, Recurrence } from "../layers/layer.ts";
import { type LinearParams, linear } from "../layers/linear.ts";
import { expectOneToken } from "../layers/recurrence.ts";
import type { Attention, AttentionRecurrence } from "./attention.ts";
import { type AttentionOptions, attention } from "./kinds.ts";

export interface MultiHeadAttentionOptions {
  /** c, the width of a token */
  readonly width: number;
  /** h */
  readonly heads: number;
  /** d, the width of one head; width / heads unless told */
  readonly headWidth?: number;
  /** Whether token i may see only j ≤ i; false unless told */
  readonly causal?: boolean;
  /** Whether the four linear maps add a bias; true unless told */
  readonly bias?: boolean;
  /** What the linear maps start with; "torch" unless told */
  readonly init?: InitialName;
  /** A kind of attention, or one's own */
  readonly attention: AttentionOptions | Attention;
}

export interface MultiHeadAttentionParams {
  readonly query: LinearParams;
  readonly key: LinearParams;
  readonly value: LinearParams;
  readonly output: LinearParams;
  /** Those of the attention: how its fields are blended, and the like */
  readonly attention: unknown;
}

/**
 * Attention in several heads, between linear maps that both fields share:
 *
 *     y = concat_h attention(x W_q, x W_k, x W_v) W_o
 *
 * @throws RangeError when heads do not divide the width and no `headWidth` is given
 */
export function multiHeadAttention(options: MultiHeadAttentionOptions): Layer<MultiHeadAttentionParams> {
  const { width, heads, causal = false, bias = true, init = "torch" } = options;
  const headWidth = options.headWidth ?? width / heads;
  if (!Number.isInteger(headWidth)) {
    throw new RangeError(
      `multiHeadAttention: expected heads that divide width=${width}, got ${heads}; or give headWidth`,
    );
  }
  const inward = linear({ inputs: width, outputs: heads * headWidth, bias, init });
  const outward = linear({ inputs: heads * headWidth, outputs: width, bias, init });
  const mix: Attention =
    "apply" in options.attention
      ? options.attention
      : attention(options.attention, { width, heads, headWidth, causal, init });

  const inHeads = (x: Tensor): Tensor => {
    const cut = reshape(x, [...x.shape.slice(0, -1), heads, headWidth]); // (…b, n, h, d)
    return swapAxes(cut, -2, -3); // (…b, h, n, d)
  };
  const projected = (params: MultiHeadAttentionParams, x: Tensor): readonly [Tensor, Tensor, Tensor] => [
    inHeads(inward.apply(params.query, x)),
    inHeads(inward.apply(params.key, x)),
    inHeads(inward.apply(params.value, x)),
  ];
  const joined = (params: MultiHeadAttentionParams, o: Tensor): Tensor => {
    const rows = swapAxes(o, -2, -3); // (…b, n, h, d)
    return outward.apply(params.output, reshape(rows, [...rows.shape.slice(0, -2), heads * headWidth])); // (…b, n, c)
  };
  const byToken = (length: number): Recurrence<MultiHeadAttentionParams> => {
    const walk = mix.recurrence?.(length) as AttentionRecurrence;
    return {
      start: ({ batch = [], dtype = "float32" } = {}) => walk.start({ batch, dtype }),
      step(params, x, state) {
        expectOneToken("multiHeadAttention", x, -2);
        const [o, next] = walk.step(params.attention, ...projected(params, x), { x }, state);
        return [joined(params, o), next];
      },
    };
  };
  return {
    init(key) {
      const [ofQuery, ofKey, ofValue, ofOutput, ofAttention] = random.split(key, 5);
      return {
        query: inward.init(ofQuery),
        key: inward.init(ofKey),
        value: inward.init(ofValue),
        output: outward.init(ofOutput),
        attention: mix.init(ofAttention),
      };
    },
    apply: (params, x, call = {}) =>
      joined(params, mix.apply(params.attention, ...projected(params, x), { ...call, x })),
    ...(causal && mix.recurrence && { recurrence: byToken }),
  };
}
