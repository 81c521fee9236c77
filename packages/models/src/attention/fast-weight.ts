import { add, div, expandDims, mean, mul, random, sigmoid, sqrt, swapAxes, type Tensor, where } from "@fmmformer/autodiff";
import { causalNormalizer, fastWeight as deltaRule, type FeatureMap, l1Normalized } from "@fmmformer/kernels";
import { type LinearParams, linear } from "../layers/linear.ts";
import type { AttentionSizes } from "./attention.ts";
import { combineTerms, type KernelWeights } from "./blend.ts";
import { type Far, type FarOptions, far } from "./far.ts";

export interface FastWeightParams {
  /** (c, h) what makes β from a token */
  readonly beta: LinearParams;
}

/**
 * A far field whose first feature map writes by the delta rule, each token as far as it says itself:
 *
 *     W_i = W_{i−1} + β_i (v_i − W_{i−1} φ(k_i)) φ(k_i)ᵀ,   F_i = W_i φ(q_i),   β_i = σ(x_i W_β)
 *
 * Further feature maps add up as usual. The rule for scaling is that of the far field, its normaliser the sum of ordinary linear attention.
 *
 * @throws RangeError when attention is not causal, for the memory is written in order
 * @see Schlag, Irie, Schmidhuber (2021), Linear transformers are secretly fast weight programmers, https://arxiv.org/abs/2102.11174
 */
export function fastWeight({ features, rule }: FarOptions, sizes: AttentionSizes): Far<FastWeightParams> {
  const { width, heads, causal } = sizes;
  if (!causal) {
    throw new RangeError("attention: expected causal attention for fast weights, got bidirectional; set causal: true");
  }
  const [first, ...others] = features;
  const beta = linear({ inputs: width, outputs: heads, bias: false });
  const rest = others.length > 0 ? far({ features: others, rule }, sizes) : null;
  return {
    init: (key) => ({ beta: beta.init(key) }),
    apply(params, q, k, v, call, weights) {
      const rates = swapAxes(sigmoid(beta.apply(params.beta, call.x)), -1, -2); // (…b, h, n)
      const term = deltaTerm(q, k, v, rates, { mask: call.mask ?? null, feature: first, rule });
      if (!rest) return combineTerms([term], weights);
      const ofRest = restWeights(weights, features.length);
      return add(combineTerms([term], [weights === "mean" ? 1 / features.length : weights === "sum" ? 1 : weights[0]]), rest.apply({}, q, k, v, call, ofRest));
    },
  };
}
