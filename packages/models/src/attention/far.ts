import { broadcastTo, full, type Scalar, squeeze, stack, type Tensor } from "@fmmformer/autodiff";
import { type FeatureMap, farField } from "@fmmformer/kernels";
import type { LinearParams } from "../layers/linear.ts";
import type { AttentionCall, AttentionSizes } from "./attention.ts";
import type { FarFieldRule } from "./far-field-rule.ts";

export interface FarOptions {
  /** φ_l, one for each kernel */
  readonly features: readonly FeatureMap[];
  readonly rule: FarFieldRule;
}

/** What a far field learns: nothing, but with fast weights. */
export interface FarParams {
  /** (c, h) what makes β of the delta rule from a token */
  readonly beta?: LinearParams;
}

/** A far field: attention that takes the weights of its kernels besides, numbers or of shape (), (h, 1, 1) or (h, 1, m). */
export interface Far {
  init(key: Tensor): FarParams;
  apply(
    params: FarParams,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    call: AttentionCall & { readonly weights: readonly Scalar[] },
  ): Tensor;
}

/** Low-rank attention, a term for each feature map. */
export function far({ features, rule }: FarOptions, sizes: AttentionSizes): Far {
  const { causal } = sizes;
  return {
    init: () => ({}),
    apply(_, q, k, v, { mask = null, weights }) {
      const [n, d] = q.shape.slice(-2);
      const norms = rule({ n, d });
      const [first] = weights;
      if (typeof first === "number" && weights.every((weight) => weight === first)) {
        return farField(q, k, v, { ...norms, features, causal, mask, scale: norms.scale * first }); // (…b, h, n, m)
      }
      return farField(q, k, v, { ...norms, features, causal, mask, combine: stackWeights(weights, sizes) });
    },
  };
}

/** The weights of r kernels as one tensor, (r, h, m). */
function stackWeights(weights: readonly Scalar[], { heads, headWidth }: AttentionSizes): Tensor {
  const shape = [heads, 1, headWidth];
  const whole = weights.map((weight) =>
    typeof weight === "number" ? full(shape, weight) : broadcastTo(weight, shape),
  );
  return squeeze(stack(whole), -2);
}
