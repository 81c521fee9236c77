import { add, div, equal, exp, log, max, stopGradient, sub, sum, type Tensor, where } from "@fmmformer/autodiff";

/** Softmax over the last axis, and the logarithms of its normalisers. */
export interface Softmax {
  /** (…, n), rows of sum 1, or exactly 0 where every logit is −∞. */
  readonly weights: Tensor;
  /** (…, 1), −∞ where every logit is. */
  readonly logSumExp: Tensor;
}

/**
 * Take the softmax of logits of which those at −∞ do not count:
 *
 *     L = µ + ln Σ_j e^{t_j − µ},   p_j = e^{t_j − µ} / Σ e^{t − µ},   µ = max t
 *
 * A row of −∞ alone has L = −∞ and weights of exactly 0, and passes no gradient on. Shifted by the largest logit, nothing overflows.
 */
export function maskedSoftmax(logits: Tensor): Softmax {
  const largest = stopGradient(max(logits, { axis: -1, keepDims: true }));
  const shift = where(equal(largest, -Infinity), 0, largest);
  const e = exp(sub(logits, shift));
  const total = sum(e, { axis: -1, keepDims: true });
  const empty = equal(total, 0);
  const divisor = where(empty, 1, total);
  return { weights: div(e, divisor), logSumExp: where(empty, -Infinity, add(log(divisor), shift)) };
}

/** The weights e^{t − L} again, from logits and the logarithms of their normalisers. */
export function weightsOf(logits: Tensor, logSumExp: Tensor): Tensor {
  return exp(sub(logits, where(equal(logSumExp, -Infinity), 0, logSumExp)));
}
