import { flatten, type Tensor } from "@fmmformer/autodiff";

/** How many numbers a tree of parameters holds. */
export function parameterCount(params: unknown): number {
  return flatten(params).leaves.reduce<number>((count, leaf) => count + (leaf as Tensor).size, 0);
}
