import { FmmformerError, flatten, isTensor, showShape, type Tensor } from "@fmmformer/autodiff";

/** A law that does not hold: its name, where, and the two numbers. */
export class LawError extends FmmformerError {}

/** The tensors of a tree in order. */
export function tensorsOf(tree: unknown): readonly Tensor[] {
  return flatten(tree, isTensor).leaves as Tensor[];
}

/**
 * Check that two trees hold the same numbers.
 *
 * @param options.tolerance - relative to the largest number of the tree, since a gradient that is 0 in theory is a rounding error of its
 * neighbours; 0 (the default) wants the same bits, −0 and 0 being one
 * @param options.onDifference - told the largest difference, relative in the same way
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
  let largest = 0;
  for (const y of wanted)
    for (const value of y.data) if (Number.isFinite(value)) largest = Math.max(largest, Math.abs(value));
  let apart = 0;
  found.forEach((x, at) => {
    const y = wanted[at];
    if (showShape(x.shape) !== showShape(y.shape) || x.dtype !== y.dtype) {
      throw new LawError(
        `${law}: expected ${y.dtype} ${showShape(y.shape)}, got ${x.dtype} ${showShape(x.shape)} (tensor ${at})`,
      );
    }
    for (let i = 0; i < x.size; i++) {
      const [a, b] = [x.data[i], y.data[i]];
      if (a === b || (Number.isNaN(a) && Number.isNaN(b))) continue;
      const difference = Math.abs(a - b);
      if (!(difference <= tolerance * largest))
        throw new LawError(`${law}: expected ${b}, got ${a} (tensor ${at}, element ${i} of ${showShape(y.shape)})`);
      apart = Math.max(apart, difference);
    }
  });
  onDifference?.(apart === 0 ? 0 : apart / largest);
}
