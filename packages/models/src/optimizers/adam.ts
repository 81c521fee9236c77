import { add, mul, neg, type Scalar, type Tensor } from "@fmmformer/autodiff";
import { adamUpdate } from "@fmmformer/kernels";
import { inDType, mapTrees, noSteps, type Optimizer, zerosOf } from "./optimizer.ts";
import { type Schedule, valueAt } from "./schedules.ts";

export interface AdamOptions {
  readonly learningRate: Scalar | Schedule;
  /** How much of the average of gradients stays; 0.9 unless told */
  readonly beta1?: Scalar | Schedule;
  /** How much of the average of their squares stays; 0.999 unless told */
  readonly beta2?: Scalar | Schedule;
  /** Added to the root, outside of it; 1e-8 unless told */
  readonly eps?: number;
}

export interface AdamwOptions extends AdamOptions {
  /** By what share of the learning rate parameters shrink besides; 0.01 unless told */
  readonly weightDecay?: number;
}

export interface AdamState {
  /** How many steps were made */
  readonly step: Tensor;
  /** The average of gradients, in the form of the parameters */
  readonly mu: unknown;
  /** The average of their squares */
  readonly nu: unknown;
}

/**
 * Adam: each parameter moves by the average of its gradient over the root of the average of its square.
 *
 * @see Kingma, Ba (2015), Adam: a method for stochastic optimization, https://arxiv.org/abs/1412.6980
 */
export function adam(options: AdamOptions): Optimizer<AdamState> {
  return adamw({ ...options, weightDecay: 0 });
}

/**
 * Adam, and parameters shrink by lr · weightDecay of themselves besides.
 *
 * @see Loshchilov, Hutter (2019), Decoupled weight decay regularization, https://arxiv.org/abs/1711.05101
 */
export function adamw(options: AdamwOptions): Optimizer<AdamState> {
  const { learningRate, beta1 = 0.9, beta2 = 0.999, eps = 1e-8, weightDecay = 0.01 } = options;
  return {
    init: (params) => ({ step: noSteps(), mu: zerosOf(params), nu: zerosOf(params) }),
    update(grads, state, params) {
      const next = add(state.step, 1);
      const rate = neg(valueAt(learningRate, state.step));
      const [b1, b2] = [valueAt(beta1, state.step), valueAt(beta2, state.step)];
      const [updates, mu, nu] = mapTrees(
        (g, m, n, x) => {
          const own = (number: Scalar): Scalar => inDType(number, g);
          const numbers = { step: own(next), beta1: own(b1), beta2: own(b2), eps };
          const [u, ...averages] = adamUpdate(g, m, n, numbers);
          return [mul(weightDecay === 0 ? u : add(u, mul(x, weightDecay)), own(rate)), ...averages];
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
