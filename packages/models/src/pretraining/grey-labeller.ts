import { abs, cast, div, lessEqual, maximum, mul, squeeze, sub, sum, type Tensor } from "@fmmformer/autodiff";
import type { Model } from "../model.ts";
import { type TokenLabellerOptions, type TokenLabellerParams, tokenLabeller } from "../token-labeller.ts";

export interface GreyLabellerOptions extends Omit<TokenLabellerOptions, "classes" | "tied" | "cutoffs"> {
  /** How many greys there are: labels are 0 … levels − 1 */
  readonly levels: number;
}

/** A grey this near counts as named, where white is 1. */
const near = 0.05;

/**
 * Tell the grey of each pixel, as a number rather than a class: it takes tokens (…b, n) and gives greys (…b, n), 0 to 1 where it does well.
 *
 *     loss = Σ weights · |y − label / (levels − 1)| / Σ weights     accuracy: the share within 0.05
 */
export function greyLabeller({ levels, ...options }: GreyLabellerOptions): Model<TokenLabellerParams> {
  const labeller = tokenLabeller({ ...options, classes: 1 });
  const apply: Model<TokenLabellerParams>["apply"] = (params, tokens, call) =>
    squeeze(labeller.apply(params, tokens, call), -1); // (…b, n)
  return {
    init: labeller.init,
    apply,
    score(params, { tokens, labels, weights }, call) {
      const error = abs(sub(apply(params, tokens, call), mul(cast(labels, "float32"), 1 / (levels - 1))));
      const scored = weights as Tensor;
      const total = maximum(sum(scored), 1);
      return {
        loss: div(sum(mul(scored, error)), total),
        accuracy: div(sum(mul(scored, cast(lessEqual(error, near), "float32"))), total),
      };
    },
  };
}
