import { apply, type Primitive } from "../bind.ts";
import { asTensor, type Scalar, type Tensor } from "../tensor.ts";
import { treeMap } from "../tree.ts";

export const stopGradientPrimitive: Primitive<null> = {
  name: "stopGradient",
  shape: ([x]) => [{ shape: x.shape, dtype: x.dtype, weak: x.weak }],
  value: ([x]) => [x],
  vjp: () => [null],
  batch: (_, [x]) => [apply(stopGradientPrimitive, [x], null)],
};

/** The same value, or tree of values, as a constant to every derivative. */
export function stopGradient(x: Scalar): Tensor;
export function stopGradient<T>(tree: T): T;
export function stopGradient(tree: unknown): unknown {
  return treeMap((x) => apply(stopGradientPrimitive, [asTensor("stopGradient", x)], null), tree);
}
