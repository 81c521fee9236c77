import {
  add,
  customVjp,
  div,
  expm1,
  isTensor,
  log,
  mul,
  neg,
  type Scalar,
  sqrt,
  sub,
  type Tensor,
  vjp,
} from "@fmmformer/autodiff";
import { expectShape } from "./expect-shape.ts";

/** The numbers of Adam; all but ε may be traced, so that a schedule does not compile anew. */
export interface AdamOptions {
  /** t, from 1. */
  readonly step: Scalar;
  /** How much of µ stays. Default 0.9. */
  readonly beta1?: Scalar;
  /** How much of ν stays. Default 0.999. */
  readonly beta2?: Scalar;
  /** ε, outside the root. Default 1e-8. */
  readonly eps?: number;
}

/**
 * Where Adam goes at step t, and its averages of the gradient and its square:
 *
 *     µ ← β₁ µ + (1 − β₁) g,   ν ← β₂ ν + (1 − β₂) g²,   u = (µ / (1 − β₁ᵗ)) / (√(ν / (1 − β₂ᵗ)) + ε)
 *
 * The parameter then moves by −lr · u. The corrections 1 − βᵗ keep their digits in float32: they are −expm1(t ln β).
 *
 * @param g - the gradient, any shape
 * @param mu - µ, zeros at first
 * @param nu - ν, zeros at first
 * @returns `[u, µ, ν]`
 * @throws ShapeError when µ or ν has another shape than g
 * @see Kingma, Ba (2015), Adam: a method for stochastic optimization, algorithm 1, https://arxiv.org/abs/1412.6980
 */
export function adamUpdate(
  g: Tensor,
  mu: Tensor,
  nu: Tensor,
  options: AdamOptions,
): [u: Tensor, mu: Tensor, nu: Tensor] {
  expectShape("adamUpdate", "µ", mu, g.shape, {});
  expectShape("adamUpdate", "ν", nu, g.shape, {});
  const { step, beta1 = 0.9, beta2 = 0.999, eps = 1e-8 } = options;
  return adamUpdateOp(g, mu, nu, step, beta1, beta2, { eps });
}

type Arguments = [
  g: Tensor,
  mu: Tensor,
  nu: Tensor,
  step: Scalar,
  beta1: Scalar,
  beta2: Scalar,
  fixed: { readonly eps: number },
];

const adamUpdateOp = customVjp({
  name: "adamUpdate",
  kernel: true,
  forward: (...args: Arguments) => [rule(...args), args],
  pullback(args, cts) {
    const found = vjp(rule, ...args)[1](cts);
    return args.map((x, i) => (isTensor(x) ? found[i] : null)) as never;
  },
});

function rule(...[g, mu, nu, step, beta1, beta2, { eps }]: Arguments): [u: Tensor, mu: Tensor, nu: Tensor] {
  const first = add(mul(mu, beta1), mul(g, sub(1, beta1)));
  const second = add(mul(nu, beta2), mul(mul(g, g), sub(1, beta2)));
  const root = sqrt(div(second, biasCorrection(beta2, step)));
  return [div(div(first, biasCorrection(beta1, step)), add(root, eps)), first, second];
}

/** 1 − βᵗ: what an average that started from 0 is short of. */
export function biasCorrection(beta: Scalar, step: Scalar): Tensor {
  return neg(expm1(mul(step, log(beta))));
}
