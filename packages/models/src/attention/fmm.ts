import { random } from "@fmmformer/autodiff";
import type { Attention, AttentionRecurrence, AttentionSizes } from "./attention.ts";
import { type Blend, type BlendParams, blendFields, fieldWeights, initBlend, kernelWeights } from "./blend.ts";
import { type Far, type FarOptions, type FarParams, far } from "./far.ts";
import { fastWeight } from "./fast-weight.ts";
import { type LeavingTokens, leave, noneLeaving } from "./leaving-tokens.ts";
import { type NearOptions, type NearParams, near } from "./near.ts";

export interface FmmOptions extends NearOptions, FarOptions {
  readonly blend: Blend;
  /** Whether the first feature map writes by the delta rule */
  readonly fastWeight: boolean;
}

export interface FmmParams {
  readonly near?: NearParams;
  readonly far?: FarParams;
  readonly blend: BlendParams;
}

/** What each field remembers; null where there is no such field. */
export interface FmmState {
  readonly near: unknown;
  readonly far: unknown;
  /** What the near field sees and the far field does not yet, where they are disjoint */
  readonly leaving: LeavingTokens | null;
}

/**
 * Attention as the fast multipole method would have it: a softmax over the tokens nearby, and low rank for all of them:
 *
 *     o = w_near ⊙ nearField(q, k, v) + w_far ⊙ Σ_l w_l ⊙ F_l(q, k, v)
 *
 * A field whose weight is the number 0 is left out.
 *
 * @see Nguyen, Suliafu, Osher, Chen, Wang (2021), FMMformer, section 3, https://arxiv.org/abs/2108.02347
 */
export function fmm(options: FmmOptions, sizes: AttentionSizes): Attention<FmmParams> {
  const { blend, features, beyond } = options;
  const nearby = blend.near === 0 ? undefined : near(options, sizes);
  const away: Far | undefined =
    blend.far === 0 || features.length === 0 ? undefined : (options.fastWeight ? fastWeight : far)(options, sizes);
  if (!nearby && !away) throw new RangeError("attention: expected a near or a far field, got a blend of neither");

  function byToken(length: number): AttentionRecurrence<FmmParams, FmmState> {
    const walk = nearby?.recurrence?.(length);
    return {
      start: (start) => ({
        near: walk?.start(start) ?? null,
        far: away?.start(start) ?? null,
        leaving: away && beyond > 0 ? noneLeaving({ after: beyond, withX: options.fastWeight }, sizes, start) : null,
      }),
      step(params, q, k, v, call, state) {
        const weights = kernelWeights(blend, params.blend, features.length);
        const [close, nextNear] = walk?.step(params.near as NearParams, q, k, v, call, state.near) ?? [];
        const seen = state.leaving ? leave({ k, v, x: call.x }, state.leaving) : { k, v, x: call.x, leaving: null };
        const farCall = { ...seen, weights, state: state.far, length };
        const [distant, nextFar] = away?.goOn(params.far as FarParams, q, seen.k, seen.v, farCall) ?? [];
        const o = blendFields(close, distant, fieldWeights(blend, params.blend)); // (…b, h, 1, m)
        return [o, { near: nextNear ?? null, far: nextFar ?? null, leaving: seen.leaving }];
      },
    };
  }

  return {
    init(key) {
      const [ofNear, ofFar] = random.split(key);
      return {
        ...(nearby && { near: nearby.init(ofNear) }),
        ...(away && { far: away.init(ofFar) }),
        blend: initBlend(blend, sizes),
      };
    },
    apply(params, q, k, v, call) {
      const weights = kernelWeights(blend, params.blend, features.length);
      const close = nearby?.apply(params.near as NearParams, q, k, v, call); // (…b, h, n, m)
      const distant = away?.apply(params.far as FarParams, q, k, v, { ...call, weights });
      return blendFields(close, distant, fieldWeights(blend, params.blend)); // (…b, h, n, m)
    },
    ...(sizes.causal && { recurrence: byToken }),
  };
}
