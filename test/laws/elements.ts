import { type DType, type Tensor, tensor } from "@fmmformer/autodiff";
import fc from "fast-check";

// What naive definitions are written in: the element at an index, as a number.

export type Elements = (...index: readonly number[]) => number;

/** Read a tensor by index; what it holds is laid out with the last axis fastest. */
export function elementsOf(x: Tensor): Elements {
  return (...index) => x.data[index.reduce((flat, i, axis) => flat * x.shape[axis] + i, 0)];
}

/** Read a tensor by the index of a larger one that it broadcasts to. */
export function stretched(x: Tensor): Elements {
  const at = elementsOf(x);
  return (...index) => at(...x.shape.map((n, axis) => (n === 1 ? 0 : index[index.length - x.shape.length + axis])));
}

/** Every index of a shape, in order. */
export function indicesOf(shape: readonly number[]): number[][] {
  return shape.reduce<number[][]>((indices, n) => indices.flatMap((index) => range(n).map((i) => [...index, i])), [[]]);
}

/** 0 … n − 1. */
export function range(n: number): number[] {
  return Array.from({ length: n }, (_, i) => i);
}

/** Σ_{i < n} term(i). */
export function total(n: number, term: (i: number) => number): number {
  return range(n).reduce((sum, i) => sum + term(i), 0);
}

/** The tensor with the given elements. */
export function tensorOf(shape: readonly number[], dtype: DType, element: Elements): Tensor {
  return tensor(
    Float64Array.from(indicesOf(shape), (index) => element(...index)),
    { shape, dtype },
  );
}

/** Tensors of one shape, their numbers drawn from others than `tensors` draws. */
export function filled(shape: readonly number[], values: fc.Arbitrary<number>): fc.Arbitrary<Tensor> {
  const size = shape.reduce((a, b) => a * b, 1);
  return fc
    .array(values, { minLength: size, maxLength: size })
    .map((data) => tensor(Float64Array.from(data), { shape }));
}
