import type { DType } from "@fmmformer/autodiff";
import { sizeOf, stridesOf } from "@fmmformer/autodiff/extend";
import type { Buffer } from "./plan.ts";

/** How a tensor lies in the arena: transposing, broadcasting, cutting and turning round change the view, not the storage. */
export interface View {
  readonly dtype: DType;
  readonly shape: readonly number[];
  /** The storage, or the number that fills the tensor */
  readonly source: Buffer | number;
  /** Of the first element, in elements */
  readonly offset: number;
  /** How many elements neighbours along each axis are apart */
  readonly strides: readonly number[];
}

export const bytesOf: Readonly<Record<DType, number>> = { float32: 4, float64: 8, int32: 4, bool: 1 };

/** The whole of a buffer, row-major. */
export function whole(source: Buffer, shape: readonly number[], dtype: DType): View {
  return { dtype, shape, source, offset: 0, strides: stridesOf(shape) };
}

/** A tensor filled with one number. */
export function filled(value: number, shape: readonly number[], dtype: DType): View {
  return { dtype, shape, source: value, offset: 0, strides: shape.map(() => 0) };
}

/** Whether the elements lie one behind the other. */
export function isContiguous({ source, shape, strides }: View): boolean {
  if (typeof source === "number") return false;
  const own = stridesOf(shape);
  return shape.every((n, axis) => n === 1 || strides[axis] === own[axis]);
}

/** Axes in the order in which they lie, the outermost first; null where some lie on each other or turned round. */
export function orderOf({ shape, strides }: View): number[] | null {
  if (strides.some((s, axis) => s <= 0 && shape[axis] > 1)) return null;
  const reach = (axis: number): number => (shape[axis] === 1 ? Infinity : strides[axis]);
  return shape.map((_, axis) => axis).sort((a, b) => (reach(a) === reach(b) ? a - b : reach(b) - reach(a)));
}

/** Axes in another order. */
export function transposed(x: View, axes: readonly number[]): View {
  return { ...x, shape: axes.map((axis) => x.shape[axis]), strides: axes.map((axis) => x.strides[axis]) };
}

/** Axes of size 1 stretched and axes added in front. */
export function broadcast(x: View, shape: readonly number[]): View {
  const extra = shape.length - x.shape.length;
  const strides = shape.map((n, axis) => (axis < extra || x.shape[axis - extra] !== n ? 0 : x.strides[axis - extra]));
  return { ...x, shape, strides };
}

/** From `starts` on, every `steps`-th element; a negative step walks back. */
export function window(x: View, shape: readonly number[], starts: readonly number[], steps: readonly number[]): View {
  const offset = starts.reduce((at, start, axis) => at + start * x.strides[axis], x.offset);
  return { ...x, shape, offset, strides: x.strides.map((s, axis) => s * steps[axis]) };
}

/** The same elements under another shape, or null where no strides can say that. */
export function reshaped(x: View, shape: readonly number[]): View | null {
  if (typeof x.source === "number") return filled(x.source, shape, x.dtype);
  if (sizeOf(shape) === 0) return { ...x, shape, strides: stridesOf(shape) };
  const cut = refine([walkOf(x), { sizes: shape, strides: null }]);
  if (!cut) return null;
  const parts = cut.strides[0] as readonly number[];
  const strides: number[] = [];
  let axis = cut.sizes.length - 1;
  for (let at = shape.length - 1; at >= 0; at--) {
    if (shape[at] === 1) {
      strides[at] = at + 1 < shape.length ? strides[at + 1] * shape[at + 1] : 1;
      continue;
    }
    strides[at] = parts[axis];
    for (let left = shape[at], next = parts[axis]; left > 1; axis--) {
      if (parts[axis] !== next) return null;
      left /= cut.sizes[axis];
      next = parts[axis] * cut.sizes[axis];
    }
  }
  return { ...x, shape, strides };
}

/** One way to walk a number of elements: sizes of axes, and how far an operand moves along each; null for a way without operand. */
export interface Walk {
  readonly sizes: readonly number[];
  readonly strides: readonly number[] | null;
}

/** How a view is walked, with as few axes as it can be: what lies in one row fits together with any other shape. */
export function walkOf({ shape, strides }: View): Walk {
  const { sizes, strides: walks } = joined(shape, [strides]);
  return { sizes, strides: walks[0] };
}

/** Axes so fine that every walk is one of them: the common refinement of ways to cut the same number of elements; null where there is none. */
export function refine(
  walks: readonly Walk[],
): { readonly sizes: readonly number[]; readonly strides: readonly (readonly number[] | null)[] } | null {
  // Cuts are products of trailing sizes.
  const cuts = new Set<number>();
  for (const { sizes } of walks) {
    let product = 1;
    for (let axis = sizes.length - 1; axis >= 0; axis--) {
      product *= sizes[axis];
      cuts.add(product);
    }
  }
  cuts.add(1);
  const sorted = [...cuts].sort((a, b) => a - b);
  for (let i = 1; i < sorted.length; i++) if (sorted[i] % sorted[i - 1] !== 0) return null;
  const sizes = sorted.slice(1).map((cut, i) => cut / sorted[i]); // innermost first
  const strides = walks.map((walk) => {
    if (!walk.strides) return null;
    const found: number[] = [];
    let product = 1;
    let at = 0;
    for (let axis = walk.sizes.length - 1; axis >= 0; axis--) {
      const end = product * walk.sizes[axis];
      for (let stride = walk.strides[axis]; product < end; product *= sizes[at], stride *= sizes[at], at++)
        found[at] = stride;
    }
    return found.reverse();
  });
  return { sizes: sizes.reverse(), strides };
}

/** Neighbouring axes that every operand walks as one, joined; axes of size 1 left out; at least one axis. */
export function joined(
  sizes: readonly number[],
  strides: readonly (readonly number[])[],
): { readonly sizes: number[]; readonly strides: number[][] } {
  const kept: number[] = [];
  const walks = strides.map(() => [] as number[]);
  sizes.forEach((n, axis) => {
    if (n === 1) return;
    const last = kept.length - 1;
    if (last >= 0 && strides.every((walk, i) => walks[i][last] === walk[axis] * n)) {
      kept[last] *= n;
      strides.forEach((walk, i) => {
        walks[i][last] = walk[axis];
      });
    } else {
      kept.push(n);
      strides.forEach((walk, i) => {
        walks[i].push(walk[axis]);
      });
    }
  });
  if (kept.length > 0) return { sizes: kept, strides: walks };
  return { sizes: [1], strides: walks.map(() => [1]) };
}
