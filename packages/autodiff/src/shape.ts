import { ShapeError, showShape } from "./errors.ts";

/** How many elements a shape holds. */
export function sizeOf(shape: readonly number[]): number {
  let size = 1;
  for (const n of shape) size *= n;
  return size;
}

/** How far apart neighbours along each axis lie in row-major storage. */
export function stridesOf(shape: readonly number[]): number[] {
  const strides = new Array<number>(shape.length);
  let stride = 1;
  for (let axis = shape.length - 1; axis >= 0; axis--) {
    strides[axis] = stride;
    stride *= shape[axis];
  }
  return strides;
}

export function sameShape(a: readonly number[], b: readonly number[]): boolean {
  return a.length === b.length && a.every((n, axis) => n === b[axis]);
}

/** The shape that NumPy's rules give for two operands: aligned at the right, a 1 stretches. */
export function broadcastShapes(op: string, a: readonly number[], b: readonly number[]): readonly number[] {
  const rank = Math.max(a.length, b.length);
  const shape = new Array<number>(rank);
  for (let fromEnd = 1; fromEnd <= rank; fromEnd++) {
    const m = a[a.length - fromEnd] ?? 1;
    const n = b[b.length - fromEnd] ?? 1;
    if (m !== n && m !== 1 && n !== 1) {
      throw new ShapeError(
        `${op}: expected shapes that broadcast, got ${showShape(a)} and ${showShape(b)}; ` +
          `axes aligned at the right must be equal or 1, and ${m} ≠ ${n}`,
      );
    }
    shape[rank - fromEnd] = m === 1 ? n : m;
  }
  return shape;
}

/** Strides that read a tensor of `shape` as if it had been broadcast to `target`: 0 along stretched axes. */
export function broadcastStrides(shape: readonly number[], target: readonly number[]): number[] {
  const own = stridesOf(shape);
  const missing = target.length - shape.length;
  return target.map((_, axis) => (axis < missing || shape[axis - missing] === 1 ? 0 : own[axis - missing]));
}

/** An axis counted from the front, a negative one having been counted from the end. */
export function normalizeAxis(op: string, axis: number, rank: number): number {
  if (!Number.isInteger(axis) || axis < -rank || axis >= rank) {
    throw new ShapeError(`${op}: expected an axis from ${-rank} to ${rank - 1}, got ${axis}`);
  }
  return axis < 0 ? axis + rank : axis;
}

/** Sorted, distinct axes; none given means all. */
export function normalizeAxes(op: string, axis: number | readonly number[] | undefined, rank: number): number[] {
  if (axis === undefined) return Array.from({ length: rank }, (_, i) => i);
  const axes = (typeof axis === "number" ? [axis] : axis).map((a) => normalizeAxis(op, a, rank));
  if (new Set(axes).size < axes.length) throw new ShapeError(`${op}: expected distinct axes, got ${axes.join(", ")}`);
  return axes.sort((a, b) => a - b);
}

/** Check that what a caller gives as a shape is one. */
export function checkShape(op: string, shape: readonly number[], what = "sizes"): void {
  if (shape.every(isCount)) return;
  throw new ShapeError(`${op}: expected ${what} that are whole numbers ≥ 0, got ${showShape(shape)}`);
}

/** Check that what a caller gives as a number of things is one. */
export function checkCount(op: string, name: string, n: number): void {
  if (isCount(n)) return;
  throw new RangeError(`${op}: expected ${name} to be a whole number ≥ 0, got ${n}`);
}

function isCount(n: number): boolean {
  return Number.isInteger(n) && n >= 0;
}
