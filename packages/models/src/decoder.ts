import type { Layer } from "./layers/layer.ts";
import type { Model } from "./model.ts";
import { type TokenLabellerOptions, type TokenLabellerParams, tokenLabeller } from "./token-labeller.ts";

export interface DecoderOptions extends Omit<TokenLabellerOptions, "causal" | "classes"> {
  /** How many things may come next; the vocabulary unless told */
  readonly classes?: number;
}

/** Tell at each token what comes next, from it and those before: it takes tokens (…b, n) and gives logits (…b, n, classes). */
export function decoder(options: DecoderOptions): Layer<TokenLabellerParams> | Model<TokenLabellerParams> {
  return tokenLabeller({ ...options, classes: options.classes ?? options.vocabulary, causal: true });
}
