import {
  add,
  cast,
  div,
  exp,
  greater,
  log,
  maximum,
  mul,
  neg,
  type Scalar,
  sqrt,
  sub,
  where,
} from "@fmmformer/autodiff";
import { biasCorrection } from "@fmmformer/kernels";
import type { AdamState, AdamwOptions } from "./adam.ts";
import { inDType, mapTrees, noSteps, type Optimizer, zerosOf } from "./optimizer.ts";
import { valueAt } from "./schedules.ts";

/**
 * Adam without a warm-up: the first steps, whose average of squares is of too few to divide by, go along the average of gradients, and later
 * ones are rectified by
 *
 *     r = √((ρ_t − 4) (ρ_t − 2) ρ_∞ / ((ρ_∞ − 4) (ρ_∞ − 2) ρ_t)),   ρ_∞ = 2 / (1 − β₂) − 1,   ρ_t = ρ_∞ − 2 t β₂ᵗ / (1 − β₂ᵗ)
 *
 * where ρ_t > 5. Parameters shrink by lr · weightDecay of themselves besides. ε is added to √ν before its correction, as PyTorch does.
 *
 * @see Liu, Jiang, He, Chen, Liu, Gao, Han (2020), On the variance of the adaptive learning rate and beyond, https://arxiv.org/abs/1908.03265
 */
export function radam(options: AdamwOptions): Optimizer<AdamState> {
  const { learningRate, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weightDecay = 0 } = options;
  return {
    init: (params) => ({ step: noSteps(), mu: zerosOf(params), nu: zerosOf(params) }),
    update(grads, state, params) {
      const next = add(state.step, 1);
      const [b1, b2] = [valueAt(beta1, state.step), valueAt(beta2, state.step)];
      const rate = neg(valueAt(learningRate, state.step));
      const t = cast(next, "float64"); // ρ_t is a small difference of large numbers
      const plain = div(rate, biasCorrection(b1, t));
      const { rectified, factor } = rectification(b2, t);
      const [updates, mu, nu] = mapTrees(
        (g, m, n, x) => {
          const own = (number: Scalar): Scalar => inDType(number, g);
          const average = add(mul(m, own(b1)), mul(g, sub(1, own(b1))));
          const squares = add(mul(n, own(b2)), mul(mul(g, g), sub(1, own(b2))));
          const along = mul(average, own(plain));
          const u = where(rectified, mul(along, div(own(factor), add(sqrt(squares), eps))), along);
          return [weightDecay === 0 ? u : add(u, mul(x, own(mul(rate, weightDecay)))), average, squares];
        },
        grads,
        state.mu,
        state.nu,
        params,
      );
      return [updates, { step: next, mu, nu }];
    },
  };
}

/** Whether the average of squares at step t is one to divide by, and r times the root of its correction 1 − β₂ᵗ. */
function rectification(beta2: Scalar, t: Scalar): { readonly rectified: Scalar; readonly factor: Scalar } {
  const missing = biasCorrection(beta2, t);
  const most = sub(div(2, sub(1, beta2)), 1);
  const length = sub(most, div(mul(mul(2, t), exp(mul(t, log(beta2)))), missing));
  const safe = maximum(length, 5);
  const above = mul(mul(sub(safe, 4), sub(safe, 2)), most);
  const below = mul(mul(sub(most, 4), sub(most, 2)), safe);
  return { rectified: greater(length, 5), factor: sqrt(mul(div(above, below), missing)) };
}
