import { cast, type Tensor } from "@fmmformer/autodiff";

/** Tensors in one dtype: float64 where one is, else float32. Null stays null. */
export function promoteFloats<const Xs extends readonly (Tensor | null)[]>(
  xs: Xs,
): { -readonly [I in keyof Xs]: Xs[I] } {
  const dtype = xs.some((x) => x?.dtype === "float64" && !x.weak) ? "float64" : "float32";
  return xs.map((x) => x && cast(x, dtype)) as never;
}
