import {
  add,
  div,
  expandDims,
  maximum,
  mean,
  mul,
  sigmoid,
  sqrt,
  swapAxes,
  type Tensor,
  where,
  zeros,
} from "@fmmformer/autodiff";
import { causalNormalizer, fastWeight as deltaRule, type FarFieldNorms, l1Normalized } from "@fmmformer/kernels";
import { type LinearParams, linear } from "../layers/linear.ts";
import type { AttentionSizes } from "./attention.ts";
import { weighted } from "./blend.ts";
import { type Far, type FarCall, type FarOptions, type FarParams, far, featureWidth } from "./far.ts";
import { leftTokens } from "./leaving-tokens.ts";

/** What the delta rule has written. */
interface Written {
  /** (…b, h, f, m) Wᵀ */
  readonly memory: Tensor;
  /** (…b, h, f) the sum of the features of keys, where the rule divides by it */
  readonly keySum: Tensor | null;
}

/** What fast weights remember: with further feature maps, what those do. */
export interface FastWeightState extends Written {
  readonly rest: Tensor | null;
}

/**
 * A far field whose first feature map writes by the delta rule, each token as far as it says itself:
 *
 *     W_i = W_{i−1} + β_i (v_i − W_{i−1} φ(k_i)) φ(k_i)ᵀ,   F_i = W_i φ(q_i),   β_i = σ(x_i W_β)
 *
 * Further feature maps add up as usual. The rule for scaling is that of the far field; its "sum" is that of ordinary linear attention.
 *
 * @throws RangeError when attention is not causal: the memory is written in order
 * @see Schlag, Irie, Schmidhuber (2021), Linear transformers are secretly fast weight programmers, https://arxiv.org/abs/2102.11174
 */
export function fastWeight({ features, rule, beyond }: FarOptions, sizes: AttentionSizes): Far<FastWeightState> {
  const { width, heads, headWidth, causal, init = "torch" } = sizes;
  if (!causal) {
    throw new RangeError("attention: expected causal attention for fast weights, got bidirectional; set causal: true");
  }
  const [feature, ...others] = features;
  const beta = linear({ inputs: width, outputs: heads, bias: false, init });
  const rest = others.length > 0 ? far({ features: others, rule, beyond }, sizes) : null;

  /** The term of the delta rule, and what is remembered behind it. */
  function corrected(
    params: FarParams,
    [q, k, v]: readonly [Tensor, Tensor, Tensor],
    { x, mask = null, weights }: FarCall,
    { state, n }: { readonly state: Written | null; readonly n: number },
  ): readonly [Tensor, Written] {
    const norms = rule({ n, d: q.shape[q.shape.length - 1] });
    const rows = mask && expandDims(expandDims(mask, -2), -1); // (…b, 1, n, 1)
    const shown = (t: Tensor): Tensor => (rows ? where(rows, t, 0) : t);
    const mapped = (t: Tensor): Tensor =>
      norms.featureNorm === "l1" ? l1Normalized(feature.apply(t)) : feature.apply(t); // (…b, h, n, f)
    const [queries, keys] = [mapped(q), shown(mapped(shown(k)))];
    const rates = swapAxes(sigmoid(beta.apply(params.beta as LinearParams, x)), -1, -2); // (…b, h, n)
    const options = { state: state?.memory ?? null, returnState: true } as const;
    const [read, memory] = deltaRule(queries, keys, shown(v), rates, options); // (…b, h, n, m)
    const [rescaled, keySum] = normalized(read, queries, keys, norms, state?.keySum ?? null);
    return [weighted(mul(rescaled, norms.scale), weights[0]), { memory, keySum }];
  }

  return {
    init: (key) => ({ beta: beta.init(key) }),
    apply(params, q, k, v, call) {
      const seen = beyond > 0 ? leftTokens({ k, v, x: call.x }, call, beyond) : { k, v };
      const [own] = corrected(
        params,
        [q, seen.k, seen.v],
        { ...call, ...seen },
        { state: null, n: q.shape[q.shape.length - 2] },
      );
      return rest ? add(own, rest.apply({}, q, k, v, { ...call, weights: call.weights.slice(1) })) : own;
    },
    start(options) {
      const f = featureWidth(feature, headWidth);
      const lead = [...options.batch, heads, f];
      const { dtype } = options;
      return {
        memory: zeros([...lead, headWidth], { dtype }),
        keySum: zeros(lead, { dtype }),
        rest: rest?.start(options) ?? null,
      };
    },
    goOn(params, q, k, v, { state, length, ...call }) {
      const [own, written] = corrected(params, [q, k, v], call, { state, n: length });
      if (!rest) return [own, { ...written, rest: null }];
      const others = { ...call, weights: call.weights.slice(1), state: state.rest as Tensor, length };
      const [o, last] = rest.goOn({}, q, k, v, others);
      return [add(own, o), { ...written, rest: last }];
    },
  };
}

/** Rows scaled by their rule, and the sum of the features of keys by which "sum" divides. */
function normalized(
  read: Tensor,
  q: Tensor,
  k: Tensor,
  { normalizer, eps }: Required<FarFieldNorms>,
  before: Tensor | null,
): readonly [Tensor, Tensor | null] {
  switch (normalizer) {
    case "none":
      return [read, before];
    case "sum": {
      const [total, keySum] = causalNormalizer(q, k, before); // (…b, h, n)
      return [div(read, expandDims(add(maximum(total, 0), eps), -1)), keySum];
    }
    case "rms":
      return [div(read, sqrt(add(mean(mul(read, read), { axis: -1, keepDims: true }), eps))), before];
  }
}
