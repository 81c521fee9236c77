import type { Tensor } from "@fmmformer/autodiff";
import { type FeatureMap, farField } from "@fmmformer/kernels";
import type { Attention, AttentionCall, AttentionSizes } from "./attention.ts";
import { type KernelWeights, stackWeights } from "./blend.ts";
import type { FarFieldRule } from "./far-field-rule.ts";

export interface FarOptions {
  readonly features: readonly FeatureMap[];
  readonly rule: FarFieldRule;
}

/** A far field, which takes the weights of its kernels besides. */
export interface Far<Params> extends Omit<Attention<Params>, "apply"> {
  apply(params: Params, q: Tensor, k: Tensor, v: Tensor, call: AttentionCall, weights: KernelWeights): Tensor;
}

/** Low-rank attention, a term for each feature map. */
export function far({ features, rule }: FarOptions, sizes: AttentionSizes): Far<Record<never, never>> {
  return {
    init: () => ({}),
    apply(_, q, k, v, { mask = null }, weights) {
      const [n, d] = q.shape.slice(-2);
      const combine = stackWeights(weights, sizes);
      return farField(q, k, v, { ...rule({ n, d }), features, causal: sizes.causal, mask, combine }); // (…b, h, n, m)
    },
  };
}
