import { add, mul, neg, type Scalar, type Tensor, treeMap } from "@fmmformer/autodiff";
import { inDType, mapTrees, noSteps, type Optimizer, zerosOf } from "./optimizer.ts";
import { type Schedule, valueAt } from "./schedules.ts";

export interface SgdOptions {
  readonly learningRate: Scalar | Schedule;
  /** How much of the last update stays; 0 unless told */
  readonly momentum?: number;
}

export interface SgdState {
  /** How many steps were made */
  readonly step: Tensor;
  /** Decaying sum of gradients, in the form of the parameters; null without momentum */
  readonly velocity: unknown;
}

/**
 * Stochastic gradient descent:
 *
 *     u ← momentum · u + g,   x ← x − lr · u
 */
export function sgd({ learningRate, momentum = 0 }: SgdOptions): Optimizer<SgdState> {
  return {
    init: (params) => ({ step: noSteps(), velocity: momentum === 0 ? null : zerosOf(params) }),
    update(grads, { step, velocity }) {
      const rate = neg(valueAt(learningRate, step));
      const next = add(step, 1);
      const scaled = (u: Tensor): Tensor => mul(u, inDType(rate, u));
      if (velocity === null) return [treeMap((g) => scaled(g as Tensor), grads), { step: next, velocity }];
      const [updates, moved] = mapTrees(
        (g, last) => {
          const u = add(mul(last, momentum), g);
          return [scaled(u), u];
        },
        grads,
        velocity,
      );
      return [updates, { step: next, velocity: moved }];
    },
  };
}
