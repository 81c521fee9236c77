import { type DType, FmmformerError, flatten, isFloat, isTensor, showShape, type Tensor } from "@fmmformer/autodiff";

/** A law that does not hold: its name, where, and the two numbers. */
export class LawError extends FmmformerError {}

/** The tensors of a tree in order. */
export function tensorsOf(tree: unknown): readonly Tensor[] {
  return flatten(tree, isTensor).leaves as Tensor[];
}

/**
 * Check that two trees hold the same numbers.
 *
 * @param options.tolerance - relative to the largest number of the tensor; 0 (the default) wants the same bits, −0 and 0 being one.
 * A gradient that is 0 in theory is a rounding error of its neighbours: differences of 128 units of rounding of the largest
 * number of the tree are allowed too, unless the tolerance is smaller still
 * @param options.onDifference - told the largest difference, relative to the largest number of the tree
 * @throws LawError with the first place at which they differ
 */
export function agree(
  law: string,
  actual: unknown,
  expected: unknown,
  options: { readonly tolerance?: number; readonly onDifference?: (largest: number) => void } = {},
): void {
  const { tolerance = 0, onDifference } = options;
  const [found, wanted] = [tensorsOf(actual), tensorsOf(expected)];
  if (found.length !== wanted.length)
    throw new LawError(`${law}: expected ${wanted.length} tensors, got ${found.length}`);
  const sizes = wanted.map(largestOf);
  const largest = Math.max(0, ...sizes);
  let apart = 0;
  found.forEach((x, at) => {
    const y = wanted[at];
    if (showShape(x.shape) !== showShape(y.shape) || x.dtype !== y.dtype) {
      throw new LawError(
        `${law}: expected ${y.dtype} ${showShape(y.shape)}, got ${x.dtype} ${showShape(x.shape)} (tensor ${at})`,
      );
    }
    const allowed = Math.max(tolerance * sizes[at], Math.min(tolerance, rounding(y.dtype)) * largest);
    for (let i = 0; i < x.size; i++) {
      const [a, b] = [x.data[i], y.data[i]];
      if (a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
      const difference = Math.abs(a - b);
      if (!(difference <= allowed))
        throw new LawError(`${law}: expected ${b}, got ${a} (tensor ${at}, element ${i} of ${showShape(y.shape)})`);
      apart = Math.max(apart, difference);
    }
  });
  onDifference?.(apart === 0 ? 0 : apart / largest);
}

/** The largest finite number of a tensor, by size; 0 where there is none. */
function largestOf({ data }: Tensor): number {
  let largest = 0;
  for (const value of data) if (Number.isFinite(value)) largest = Math.max(largest, Math.abs(value));
  return largest;
}

/** 128 units of rounding of 1. */
function rounding(dtype: DType): number {
  if (!isFloat(dtype)) return 0;
  return dtype === "float64" ? 2 ** -45 : 2 ** -16;
}
