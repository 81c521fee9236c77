import { add, random, type Tensor } from "@fmmformer/autodiff";
import {
  type MultiHeadAttentionOptions,
  type MultiHeadAttentionParams,
  multiHeadAttention,
} from "./attention/multi-head-attention.ts";
import { checkName } from "./known-name.ts";
import { dropout } from "./layers/dropout.ts";
import { type Activation, type FeedForwardParams, feedForward } from "./layers/feed-forward.ts";
import type { Layer, Recurrence } from "./layers/layer.ts";
import { type NormName, type NormParams, norm } from "./layers/norm.ts";
import { recurrence } from "./layers/recurrence.ts";

/** Whether a block normalises what goes into its two parts, or what comes out of its two sums. */
export type NormOrder = "pre" | "post";

export interface BlockOptions extends MultiHeadAttentionOptions {
  /** e, the width inside the feed-forward part */
  readonly hidden: number;
  /** "gelu" unless told */
  readonly activation?: Activation;
  /** "pre" unless told */
  readonly order?: NormOrder;
  /** "layer" unless told */
  readonly norm?: NormName;
  /** Dropout rate, behind each part; 0 unless told */
  readonly dropout?: number;
}

export interface BlockParams {
  readonly attentionNorm: NormParams;
  readonly attention: MultiHeadAttentionParams;
  readonly feedForwardNorm: NormParams;
  readonly feedForward: FeedForwardParams;
}

/**
 * Attention and a feed-forward part, each added to what came in:
 *
 *     pre:   y = x + attention(norm(x)),   z = y + feedForward(norm(y))
 *     post:  y = norm(x + attention(x)),   z = norm(y + feedForward(y))
 */
export function block(options: BlockOptions): Layer<BlockParams> {
  const { width, hidden, activation = "gelu", dropout: rate = 0, init = "torch" } = options;
  const order = checkName("block", "order", options.order ?? "pre", ["pre", "post"]);
  const attention = multiHeadAttention(options);
  const feed = feedForward({ width, hidden, activation, dropout: rate, init });
  const normalize = norm(options.norm ?? "layer", { width, init });

  /** What goes through both parts, given attention. */
  function through(params: BlockParams, x: Tensor, attend: (x: Tensor) => Tensor, key: Tensor | null): Tensor {
    if (order === "pre") {
      const y = add(x, attend(normalize.apply(params.attentionNorm, x)));
      return add(y, feed.apply(params.feedForward, normalize.apply(params.feedForwardNorm, y), { key }));
    }
    const y = normalize.apply(params.attentionNorm, add(x, attend(x)));
    return normalize.apply(params.feedForwardNorm, add(y, feed.apply(params.feedForward, y, { key })));
  }

  return {
    init(key) {
      const [ofAttentionNorm, ofAttention, ofFeedNorm, ofFeed] = random.split(key, 4);
      return {
        attentionNorm: normalize.init(ofAttentionNorm),
        attention: attention.init(ofAttention),
        feedForwardNorm: normalize.init(ofFeedNorm),
        feedForward: feed.init(ofFeed),
      };
    },
    apply(params, x, { mask = null, key = null } = {}) {
      const [ofAttention, behindAttention, ofFeed] = key ? random.split(key, 3) : [null, null, null];
      const attend = (t: Tensor): Tensor =>
        dropout(rate, attention.apply(params.attention, t, { mask, key: ofAttention }), { key: behindAttention });
      return through(params, x, attend, ofFeed);
    },
    ...(attention.recurrence && {
      recurrence(length: number): Recurrence<BlockParams> {
        const walk = recurrence(attention, { length });
        return {
          start: walk.start,
          step(params, x, state) {
            let next = state;
            const attend = (t: Tensor): Tensor => {
              const [o, behind] = walk.step(params.attention, t, state);
              next = behind;
              return o;
            };
            return [through(params, x, attend, null), next];
          },
        };
      },
    }),
  };
}
