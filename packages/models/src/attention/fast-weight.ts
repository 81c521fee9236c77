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
} from "@fmmformer/autodiff";
import { causalNormalizer, fastWeight as deltaRule, type FarFieldNorms, l1Normalized } from "@fmmformer/kernels";
import { type LinearParams, linear } from "../layers/linear.ts";
import type { AttentionSizes } from "./attention.ts";
import { weighted } from "./blend.ts";
import { type Far, type FarOptions, far } from "./far.ts";

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
export function fastWeight({ features, rule }: FarOptions, sizes: AttentionSizes): Far {
  const { width, heads, causal, init = "torch" } = sizes;
  if (!causal) {
    throw new RangeError("attention: expected causal attention for fast weights, got bidirectional; set causal: true");
  }
  const [feature, ...others] = features;
  const beta = linear({ inputs: width, outputs: heads, bias: false, init });
  const rest = others.length > 0 ? far({ features: others, rule }, sizes) : null;
  return {
    init: (key) => ({ beta: beta.init(key) }),
    apply(params, q, k, v, call) {
      const { x, mask = null, weights } = call;
      const [n, d] = q.shape.slice(-2);
      const norms = rule({ n, d });
      const rows = mask && expandDims(expandDims(mask, -2), -1); // (…b, 1, n, 1)
      const shown = (t: Tensor): Tensor => (rows ? where(rows, t, 0) : t);
      const mapped = (t: Tensor): Tensor =>
        norms.featureNorm === "l1" ? l1Normalized(feature.apply(t)) : feature.apply(t); // (…b, h, n, f)
      const [queries, keys] = [mapped(q), shown(mapped(shown(k)))];
      const rates = swapAxes(sigmoid(beta.apply(params.beta as LinearParams, x)), -1, -2); // (…b, h, n)
      const read = deltaRule(queries, keys, shown(v), rates); // (…b, h, n, m)
      const term = mul(normalized(read, queries, keys, norms), norms.scale);
      const own = weighted(term, weights[0]);
      return rest ? add(own, rest.apply({}, q, k, v, { ...call, weights: weights.slice(1) })) : own;
    },
  };
}

function normalized(read: Tensor, q: Tensor, k: Tensor, { normalizer, eps }: Required<FarFieldNorms>): Tensor {
  switch (normalizer) {
    case "none":
      return read;
    case "sum": {
      const [total] = causalNormalizer(q, k); // (…b, h, n)
      return div(read, expandDims(add(maximum(total, 0), eps), -1));
    }
    case "rms":
      return div(read, sqrt(add(mean(mul(read, read), { axis: -1, keepDims: true }), eps)));
  }
}
