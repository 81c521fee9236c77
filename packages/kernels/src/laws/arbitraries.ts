import { type DType, random, type Tensor, tensor } from "@fmmformer/autodiff";
import fc from "fast-check";

/** Between which thousandths numbers are drawn, and of what dtype tensors are. */
export interface NumberOptions {
  /** Default −2. */
  readonly low?: number;
  /** Default 2. */
  readonly high?: number;
  /** Default float64, in which laws are checked. */
  readonly dtype?: DType;
}

/**
 * Whole thousandths. `fc.double` does not do: most of what it draws is so near 0 that a law compares nothing with nothing.
 */
export function numbers(options: NumberOptions = {}): fc.Arbitrary<number> {
  const { low = -2, high = 2 } = options;
  return fc.integer({ min: Math.ceil(low * 1000), max: Math.floor(high * 1000) }).map((k) => k / 1000);
}

/** Tensors of one shape, filled with whole thousandths. */
export function tensors(shape: readonly number[], options: NumberOptions = {}): fc.Arbitrary<Tensor> {
  const size = shape.reduce((a, b) => a * b, 1);
  return fc
    .array(numbers(options), { minLength: size, maxLength: size })
    .map((values) => tensor(Float64Array.from(values), { shape, dtype: options.dtype ?? "float64" }));
}

/** Masks of one shape: bool, or 0 and 1 in the dtype given. */
export function masks(shape: readonly number[], options: { readonly dtype?: DType } = {}): fc.Arbitrary<Tensor> {
  const size = shape.reduce((a, b) => a * b, 1);
  return fc
    .array(fc.integer({ min: 0, max: 1 }), { minLength: size, maxLength: size })
    .map((values) => tensor(Int32Array.from(values), { shape, dtype: options.dtype ?? "bool" }));
}

/**
 * Sizes by name, no two alike, so that a transposition cannot hide.
 *
 * @param names - one letter each, as in `distinctSizes(["b", "n", "d"])`
 * @param options.max - the largest size; default: one more than there are names
 */
export function distinctSizes<const Name extends string>(
  names: readonly Name[],
  options: { readonly min?: number; readonly max?: number } = {},
): fc.Arbitrary<Record<Name, number>> {
  const { min = 1, max = names.length + min } = options;
  return fc
    .uniqueArray(fc.integer({ min, max }), { minLength: names.length, maxLength: names.length })
    .map((sizes) => Object.fromEntries(names.map((name, i) => [name, sizes[i]])) as Record<Name, number>);
}

/** Keys of random sequences: draw directions and cotangents from them. */
export function keys(): fc.Arbitrary<Tensor> {
  return fc.integer({ min: 0, max: 2 ** 31 - 1 }).map((seed) => random.key(seed));
}
