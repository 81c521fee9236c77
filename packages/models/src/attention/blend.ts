import { add, expandDims, full, mul, type Scalar, sigmoid, sub, type Tensor } from "@fmmformer/autodiff";
import type { AttentionSizes } from "./attention.ts";

/** A weight that is learned, from an initial value: one number, one for each head, or one for each channel of each head. */
export interface LearnedWeight {
  readonly per: "layer" | "head" | "channel";
  readonly initial: number;
}

/** A weight that is learned, or a number that stays. */
export type BlendWeight = LearnedWeight | number;

/**
 * How near and far field become one, as data:
 *
 *     o = near ⊙ N + far ⊙ Σ_l kernels_l ⊙ F_l
 *
 * with N what the near field gives and F_l what feature map l gives. A field of weight 0 is not computed.
 */
export interface Blend {
  readonly near: BlendWeight;
  /** "rest" is 1 − near. */
  readonly far: BlendWeight | "rest";
  /** "sum": each 1; "mean": each 1 / r. Default "sum". */
  readonly kernels?: "sum" | "mean" | readonly BlendWeight[];
  /** Pass the learned weights of the two fields through a sigmoid, which keeps them positive. Default false. */
  readonly sigmoid?: boolean;
}

/** The learned weights of a blend: (), (h) or (h, m) each. */
export interface BlendParams {
  readonly near?: Tensor;
  readonly far?: Tensor;
  /** Those of the kernels that are learned, in order */
  readonly kernels?: readonly Tensor[];
}

/** Blends of no task in particular. */
export type BlendName = "near-first" | "paper";

/** Blends by name. */
export const blends: Readonly<Record<BlendName, Blend>> = {
  // Other starts cost accuracy: the band learns first, and the far field joins where it helps.
  "near-first": { near: { per: "head", initial: 1 }, far: { per: "head", initial: 0 } },
  // The paper learns w₁ and w₂ through a sigmoid, and gives neither how many there are nor where they start.
  paper: { near: { per: "head", initial: 0 }, far: { per: "head", initial: 0 }, sigmoid: true },
};

/** Draw the learned weights of a blend: none is random. */
export function initBlend(blend: Blend, { heads, headWidth }: AttentionSizes): BlendParams {
  const shapes = { layer: [], head: [heads], channel: [heads, headWidth] };
  const draw = ({ per, initial }: LearnedWeight): Tensor => full(shapes[per], initial);
  const kernels = learnedKernels(blend);
  return {
    ...(isLearned(blend.near) && { near: draw(blend.near) }),
    ...(isLearned(blend.far) && { far: draw(blend.far) }),
    ...(kernels.length > 0 && { kernels: kernels.map(draw) }),
  };
}

/** The weights that `blend` gives the two fields, each a number or of shape (), (h, 1, 1) or (h, 1, m). */
export function fieldWeights(blend: Blend, params: BlendParams): { readonly near: Scalar; readonly far: Scalar } {
  const weigh = (weight: BlendWeight, learned: Tensor | undefined): Scalar => {
    if (!isLearned(weight)) return weight;
    const w = spread(learned as Tensor);
    return blend.sigmoid ? sigmoid(w) : w;
  };
  const near = weigh(blend.near, params.near);
  return { near, far: blend.far === "rest" ? sub(1, near) : weigh(blend.far, params.far) };
}

/** The weights that `blend` gives r kernels, each a number or of shape (), (h, 1, 1) or (h, 1, m). */
export function kernelWeights(blend: Blend, params: BlendParams, r: number): Scalar[] {
  const { kernels = "sum" } = blend;
  if (typeof kernels === "string") return new Array<number>(r).fill(kernels === "sum" ? 1 : 1 / r);
  const learned = params.kernels?.values();
  return kernels.map((weight) => (isLearned(weight) ? spread(learned?.next().value as Tensor) : weight));
}

/** Add up what both fields give, (…b, h, n, m) each; one of them may be absent. */
export function blendFields(
  near: Tensor | undefined,
  far: Tensor | undefined,
  weights: ReturnType<typeof fieldWeights>,
): Tensor {
  if (near && far) return add(weighted(near, weights.near), weighted(far, weights.far));
  return near ? weighted(near, weights.near) : weighted(far as Tensor, weights.far);
}

/** x by its weight. */
export function weighted(x: Tensor, weight: Scalar): Tensor {
  return weight === 1 ? x : mul(x, weight);
}

function isLearned(weight: BlendWeight | "rest"): weight is LearnedWeight {
  return typeof weight === "object";
}

function learnedKernels({ kernels = "sum" }: Blend): readonly LearnedWeight[] {
  return typeof kernels === "string" ? [] : kernels.filter(isLearned);
}

/** () as it is, (h) as (h, 1, 1), (h, m) as (h, 1, m). */
function spread(weight: Tensor): Tensor {
  const heads = weight.shape.length === 1 ? expandDims(weight, -1) : weight;
  return heads.shape.length === 0 ? heads : expandDims(heads, 1);
}
