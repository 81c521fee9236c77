import { ShapeError, showShape, type Tensor } from "@fmmformer/autodiff";

/**
 * Check the shape of an argument.
 *
 * @param lead - sizes of the batch axes in front
 * @param axes - sizes of the others by the letter that names them in an error, in order
 * @throws ShapeError, as in `farField: expected k (2, h=4, n=8, d=16), got (2, 4, 7, 16)`
 */
export function expectShape(
  op: string,
  name: string,
  { shape }: Tensor | { readonly shape: readonly number[] },
  lead: readonly number[],
  axes: { readonly [letter: string]: number },
): void {
  const expected = [...lead, ...Object.values(axes)];
  if (shape.length === expected.length && shape.every((size, axis) => size === expected[axis])) return;
  const shown = [...lead, ...Object.entries(axes).map(([letter, size]) => `${letter}=${size}`)].join(", ");
  throw new ShapeError(`${op}: expected ${name} (${shown}), got ${showShape(shape)}`);
}
