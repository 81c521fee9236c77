import { cast, type DType, floor, isFloat, mul, type Tensor } from "@fmmformer/autodiff";
import fc from "fast-check";
import { type Elements, elementsOf, stretched } from "./elements.ts";

// What is known of primitives, apart from any test runner: laws are also checked in a browser.

/** One use of a primitive: an op with parameters, arguments for three calls of it, and its naive definition. */
export interface Use {
  readonly op: (...args: Tensor[]) => Tensor;
  readonly calls: readonly Tensor[][];
  readonly shape: readonly number[];
  /** The element of the result at an index, from the arguments. */
  readonly element: (...args: Tensor[]) => Elements;
}

/** What there is to know of a primitive to test it. */
export interface Entry {
  readonly primitive: string;
  readonly uses: fc.Arbitrary<Use>;
  /** The dtype of the result of float64 arguments, where it is not float64. */
  readonly result?: DType;
  /** Whether the op is differentiable where the arguments are drawn, linear (in all of them), or none of these. Default: smooth. */
  readonly kind?: "smooth" | "linear" | "constant";
  /** Dtypes besides float64 in which the definition holds for arguments of that dtype. Default: float32. */
  readonly dtypes?: readonly DType[];
  /** How well computations that should agree do. Default: 1e-12. */
  readonly tolerance?: number;
  /** Arguments of a wrong shape or option, and what is said about them. */
  readonly refuses?: readonly (readonly [call: () => unknown, message: string])[];
}

/** A use whose arguments are drawn anew for each call. */
export function useOf(args: readonly fc.Arbitrary<Tensor>[], use: Omit<Use, "calls">): fc.Arbitrary<Use> {
  const call = fc.tuple(...args);
  return fc.tuple(call, call, call).map((calls) => ({ ...use, calls }));
}

/** A use of an op whose elements depend on those at the same place of arguments that broadcast. */
export function elementwise(
  args: readonly fc.Arbitrary<Tensor>[],
  shape: readonly number[],
  op: Use["op"],
  f: (...values: number[]) => number,
): fc.Arbitrary<Use> {
  const element: Use["element"] = (...xs) => {
    const reads = xs.map(stretched);
    return (...index) => f(...reads.map((read) => read(...index)));
  };
  return useOf(args, { op, shape, element });
}

/** A use of an op on one tensor. */
export function onOne(
  x: fc.Arbitrary<Tensor>,
  shape: readonly number[],
  op: (x: Tensor) => Tensor,
  element: (x: Elements) => Elements,
): fc.Arbitrary<Use> {
  return useOf([x], { op: op as Use["op"], shape, element: (t) => element(elementsOf(t)) });
}

/** Whole numbers for an integer dtype: tenths of what was drawn would all be 0. */
export function inDType(x: Tensor, dtype: DType): Tensor {
  if (!isFloat(x.dtype)) return x;
  return isFloat(dtype) ? cast(x, dtype) : cast(floor(mul(x, 10)), dtype);
}
