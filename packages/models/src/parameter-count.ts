import { flatten, random, type Tensor, trace } from "@fmmformer/autodiff";
import type { Layer } from "./layers/layer.ts";

/** How many numbers a tree of parameters holds. */
export function parameterCount(params: unknown): number {
  return flatten(params).leaves.reduce<number>((count, leaf) => count + (leaf as Tensor).size, 0);
}

/** How many numbers a model learns, found out by tracing how they are drawn: none is. */
export function parameterCountOf(model: Pick<Layer<unknown>, "init">): number {
  const { outputs } = trace((key: Tensor) => model.init(key))(random.key(0));
  return outputs.reduce((count, { shape }) => count + shape.reduce((a, b) => a * b, 1), 0);
}
