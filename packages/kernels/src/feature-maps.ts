import {
  abs,
  add,
  customVjp,
  div,
  exp,
  greater,
  minimum,
  mul,
  relu,
  sigmoid,
  silu,
  softplus,
  sqrt,
  sum,
  type Tensor,
  tanh,
  where,
} from "@fmmformer/autodiff";
import { gelu } from "./gelu.ts";

/** What the far field sees queries and keys through. */
export interface FeatureMap {
  /** How programs and errors show it. */
  readonly name: string;
  /** (…, d) ↦ (…, f), each row by itself; any width f. */
  readonly apply: (x: Tensor) => Tensor;
}

/** elu(x) + 1. As x + 1 above 0 and eˣ below, it keeps its digits where elu(x) rounds to −1. Its slope is itself, but at most 1. */
const eluPlusOne = customVjp({
  name: "eluPlusOne",
  kernel: true,
  forward(x: Tensor) {
    const y = where(greater(x, 0), add(x, 1), exp(minimum(x, 0)));
    return [y, y];
  },
  pullback: (y, g) => [mul(g, minimum(y, 1))],
  leading: [0],
});

/** x / ‖x‖₂ of each row, 0 with gradient 0 for a row that has underflowed. */
function l2Normalized(x: Tensor): Tensor {
  const squares = sum(mul(x, x), { axis: -1, keepDims: true });
  const kept = greater(squares, 1e-30);
  return where(kept, div(x, sqrt(where(kept, squares, 1))), 0);
}

/** x / ‖x‖₁ of each row. A row that has underflowed gives 0 and gradient 0, not 0/0. */
export function l1Normalized(x: Tensor): Tensor {
  const total = sum(abs(x), { axis: -1, keepDims: true });
  const kept = greater(total, 1e-30);
  return where(kept, div(x, where(kept, total, 1)), 0);
}

// Klambauer et al. (2017), self-normalizing neural networks, https://arxiv.org/abs/1706.02515
const [seluAlpha, seluSlope] = [1.6732632423543772, 1.0507009873554805];

const map = (name: string, apply: FeatureMap["apply"]): FeatureMap => ({ name, apply });

/** Feature maps by name. All but `plainTanh`, `leakyRelu` and `unitSilu` are ≥ 0, as the normaliser "sum" wants. */
export type FeatureMaps = {
  readonly [Name in
    | "elu"
    | "eluFlip"
    | "tanh"
    | "tanhFlip"
    | "plainTanh"
    | "relu"
    | "celu"
    | "sigmoid"
    | "leakyRelu"
    | "softplus"
    | "selu"
    | "gelu"
    | "silu"
    | "unitSilu"]: FeatureMap;
};

/**
 * The feature maps of the paper and of its authors' code.
 *
 * @see Nguyen, Suliafu, Osher, Chen, Wang (2021), FMMformer, https://arxiv.org/abs/2108.02347
 */
export const featureMaps: FeatureMaps = {
  /** elu(x) + 1 */
  elu: map("elu", eluPlusOne),
  /** elu(−x) + 1 */
  eluFlip: map("eluFlip", (x) => eluPlusOne(mul(x, -1))),
  /** tanh(x) + 1, as 2σ(2x): the same function, which does not round to 0 below −9 in float32. */
  tanh: map("tanh", (x) => mul(2, sigmoid(mul(x, 2)))),
  /** 1 − tanh(x), as 2σ(−2x) */
  tanhFlip: map("tanhFlip", (x) => mul(2, sigmoid(mul(x, -2)))),
  /** tanh(x), the third map of the paper: of both signs, so that row sums can vanish. The authors' code uses `tanh`. */
  plainTanh: map("plainTanh", tanh),
  /** max(x, 0) */
  relu: map("relu", relu),
  /** celu(x) + 1: with the usual α = 1 that is elu(x) + 1. */
  celu: map("celu", eluPlusOne),
  /** σ(x) */
  sigmoid: map("sigmoid", sigmoid),
  /** x + 1 above 0, x / 100 + 1 below */
  leakyRelu: map("leakyRelu", (x) => add(where(greater(x, 0), x, mul(x, 0.01)), 1)),
  /** ln(1 + eˣ) */
  softplus: map("softplus", softplus),
  /** selu(x) + λα: λ (x + α) above 0, λα eˣ below */
  selu: map("selu", (x) => mul(seluSlope, where(greater(x, 0), add(x, seluAlpha), mul(seluAlpha, exp(minimum(x, 0)))))),
  /** gelu(x) + 0.16998, which gelu is nowhere below */
  gelu: map("gelu", (x) => add(gelu(x), 0.16998)),
  /** silu(x) + 1.28001 */
  silu: map("silu", (x) => add(silu(x), 1.28001)),
  /** silu(x) / ‖silu(x)‖₂: keys of unit length, which keep the delta rule a contraction. */
  unitSilu: map("unitSilu", (x) => l2Normalized(silu(x))),
};
