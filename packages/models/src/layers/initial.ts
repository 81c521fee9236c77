import { add, mul, ones, random, type Tensor } from "@fmmformer/autodiff";

/**
 * What parameters start with: "torch", PyTorch's defaults, linear maps uniform in ±1/√c and gains 1; or "normal", as language models have it,
 * linear maps N(0, 0.02²) with biases 0, and gains N(1, 0.02²).
 */
export type InitialName = "torch" | "normal";

/** Every name of such a start. */
export const initialNames: readonly InitialName[] = ["torch", "normal"];

const std = 0.02;

/** Numbers from N(0, 0.02²). */
export function drawNormal(key: Tensor, shape: readonly number[]): Tensor {
  return mul(random.normal(key, shape), std);
}

/** The gain of a normalisation, (c). */
export function initialGain(key: Tensor, width: number, initial: InitialName): Tensor {
  return initial === "normal" ? add(1, drawNormal(key, [width])) : ones([width]);
}
