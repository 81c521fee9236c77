import { broadcastTo, full, type Scalar, squeeze, stack, type Tensor, zeros } from "@fmmformer/autodiff";
import { type FeatureMap, farField } from "@fmmformer/kernels";
import type { StartOptions } from "../layers/layer.ts";
import type { LinearParams } from "../layers/linear.ts";
import type { AttentionCall, AttentionSizes } from "./attention.ts";
import type { FarFieldRule } from "./far-field-rule.ts";

export interface FarOptions {
  /** φ_l, one for each kernel */
  readonly features: readonly FeatureMap[];
  readonly rule: FarFieldRule;
  /** The bandwidth of the near field whose keys are left out; 0 where none are */
  readonly beyond: number;
}

/** What a far field learns: nothing, but with fast weights. */
export interface FarParams {
  /** (c, h) what makes β of the delta rule from a token */
  readonly beta?: LinearParams;
}

/** What a far field is told: the weights of its kernels besides, numbers or of shape (), (h, 1, 1) or (h, 1, m). */
export interface FarCall extends AttentionCall {
  readonly weights: readonly Scalar[];
}

/** A far field: attention that takes the weights of its kernels. */
export interface Far<State = unknown> {
  init(key: Tensor): FarParams;
  apply(params: FarParams, q: Tensor, k: Tensor, v: Tensor, call: FarCall): Tensor;
  /** What it remembers before the first token. */
  start(options: Required<StartOptions>): State;
  /** The same for tokens of a sequence of `length` that go on from a state, and the state behind them. No key of theirs is left out. */
  goOn(
    params: FarParams,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    call: FarCall & { readonly state: State; readonly length: number },
  ): readonly [o: Tensor, state: State];
}

/** Low-rank attention, a term for each feature map. */
export function far({ features, rule, beyond }: FarOptions, sizes: AttentionSizes): Far<Tensor> {
  const { causal, heads, headWidth } = sizes;

  /** How a far field of n tokens is scaled and added up. */
  function options(weights: readonly Scalar[], n: number, d: number) {
    const norms = { ...rule({ n, d }), features, causal };
    const [first] = weights;
    return typeof first === "number" && weights.every((weight) => weight === first)
      ? { ...norms, scale: norms.scale * first }
      : { ...norms, combine: stackWeights(weights, sizes) };
  }

  return {
    init: () => ({}),
    apply(_, q, k, v, { mask = null, weights }) {
      const [n, d] = q.shape.slice(-2);
      return farField(q, k, v, { ...options(weights, n, d), mask, beyond }); // (…b, h, n, m)
    },
    start: ({ batch, dtype }) =>
      zeros([...batch, heads, features.length, featureWidth(features[0], headWidth), headWidth + 1], { dtype }),
    goOn(_, q, k, v, { mask = null, weights, state, length }) {
      const d = q.shape[q.shape.length - 1];
      return farField(q, k, v, { ...options(weights, length, d), mask, state, returnState: true });
    },
  };
}

/** f, how wide a feature map makes rows of width d. */
export function featureWidth({ apply }: FeatureMap, d: number): number {
  return apply(zeros([1, d])).shape[1];
}

/** The weights of r kernels as one tensor, (r, h, m). */
function stackWeights(weights: readonly Scalar[], { heads, headWidth }: AttentionSizes): Tensor {
  const shape = [heads, 1, headWidth];
  const whole = weights.map((weight) =>
    typeof weight === "number" ? full(shape, weight) : broadcastTo(weight, shape),
  );
  return squeeze(stack(whole), -2);
}
