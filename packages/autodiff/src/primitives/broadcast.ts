import { apply, definePrimitive, type Primitive } from "../bind.ts";
import type { Data } from "../dtype.ts";
import { ShapeError, showShape } from "../errors.ts";
import { broadcastStrides, checkShape, normalizeAxes, sameShape } from "../shape.ts";
import { asTensor, type Scalar, type Tensor } from "../tensor.ts";
import { cast } from "./cast.ts";
import { copyStrided, reshape, transpose } from "./layout.ts";

// Repeating and adding up: each is the other's pullback.

interface BroadcastParams {
  readonly shape: readonly number[];
}

export const broadcastPrimitive: Primitive<BroadcastParams> = definePrimitive<BroadcastParams>({
  name: "broadcast",
  shape: ([x], { shape }) => ({ shape, dtype: x.dtype, weak: x.weak }),
  value: (out, [x], { shape }) => copyStrided(x.data, out, shape, broadcastStrides(x.shape, shape)),
  fill: ([v]) => v,
  vjp: (g, [x]) => [() => sumTo(g, x.shape)],
  batch: (size, [x], _, { shape }) => broadcastTo(insertAxes(x, shape.length + 1), [size, ...shape]),
  show: ({ shape }) => showShape(shape),
});

/** Stretch axes of size 1 and add axes in front, as NumPy does, until the shape is `shape`. */
export function broadcastTo(x: Scalar, shape: readonly number[]): Tensor {
  const t = asTensor("broadcastTo", x);
  if (sameShape(t.shape, shape)) return t;
  checkShape("broadcastTo", shape);
  const extra = shape.length - t.shape.length;
  if (extra < 0 || t.shape.some((n, axis) => n !== 1 && n !== shape[axis + extra])) {
    throw new ShapeError(
      `broadcastTo: expected a shape that ${showShape(t.shape)} stretches to, got ${showShape(shape)}`,
    );
  }
  return apply(broadcastPrimitive, [t], { shape });
}

/** A tensor whose axis 0 is a batch, of the rank given: axes of size 1 go in behind axis 0. */
export function insertAxes(x: Tensor, rank: number): Tensor {
  const [size, ...rest] = x.shape;
  return reshape(x, [size, ...new Array<number>(rank - x.shape.length).fill(1), ...rest]);
}

/** Bring inputs of an op that broadcasts to one rank behind their batch axis, so that the batch axis stays in front. */
export function alignRanks(args: readonly Tensor[], batched: readonly boolean[]): readonly Tensor[] {
  const rank = Math.max(...args.map((x, i) => x.shape.length + (batched[i] ? 0 : 1)));
  return args.map((x, i) => (batched[i] ? insertAxes(x, rank) : x));
}

interface SumParams {
  /** Sorted. */
  readonly axes: readonly number[];
}

export const sumPrimitive: Primitive<SumParams> = definePrimitive<SumParams>({
  name: "sum",
  shape: ([x], { axes }) => ({ shape: withoutAxes(x.shape, axes), dtype: x.dtype, weak: x.weak }),
  value(out, [x], { axes }) {
    const { data, inner } = reducedLast(x, axes);
    for (let i = 0; i < out.length; i++) out[i] = pairwise(data, i * inner, inner);
  },
  vjp: (g, [x], _, { axes }) => [() => broadcastTo(reshape(g, keptAxes(x.shape, axes)), x.shape)],
  batch: (_, [x], __, { axes }) => apply(sumPrimitive, [x], { axes: axes.map((axis) => axis + 1) }),
  show: ({ axes }) => `axes ${axes.join(",")}`,
});

/** Pairwise summation: the rounding error grows with log n, not n. Integers add up modulo 2³². */
function pairwise(data: Data, from: number, count: number): number {
  if (count <= 128) {
    let total = 0;
    for (let i = from; i < from + count; i++) total += data[i];
    return total;
  }
  const half = count >> 1;
  const total = pairwise(data, from, half) + pairwise(data, from + half, count - half);
  return data instanceof Int32Array ? total | 0 : total;
}

/** Storage in which the axes to reduce are innermost, and how many elements each result takes in. */
export function reducedLast(x: Tensor, axes: readonly number[]): { readonly data: Data; readonly inner: number } {
  const kept = x.shape.map((_, axis) => axis).filter((axis) => !axes.includes(axis));
  const moved = transpose(x, [...kept, ...axes]);
  return { data: moved.data, inner: axes.reduce((n, axis) => n * x.shape[axis], 1) };
}

/** Add up over axes (all by default); bools are counted as int32. Pairwise, so long sums keep their digits. */
export function sum(
  x: Scalar,
  options: { readonly axis?: number | readonly number[]; readonly keepDims?: boolean } = {},
): Tensor {
  const given = asTensor("sum", x);
  const t = given.dtype === "bool" ? cast(given, "int32") : given;
  const axes = normalizeAxes("sum", options.axis, t.shape.length);
  const y = axes.length === 0 ? t : apply(sumPrimitive, [t], { axes });
  return options.keepDims ? reshape(y, keptAxes(t.shape, axes)) : y;
}

/** Add up over whatever broadcasting from `shape` had stretched: the pullback of broadcasting. */
export function sumTo(x: Tensor, shape: readonly number[]): Tensor {
  if (sameShape(x.shape, shape)) return x;
  return reshape(sum(x, { axis: stretchedAxes(shape, x.shape) }), shape);
}

/** The axes of `target` along which broadcasting from `shape` repeats. */
export function stretchedAxes(shape: readonly number[], target: readonly number[]): number[] {
  const extra = target.length - shape.length;
  return target.flatMap((n, axis) => (axis < extra || (shape[axis - extra] === 1 && n !== 1) ? [axis] : []));
}

export function withoutAxes(shape: readonly number[], axes: readonly number[]): readonly number[] {
  return shape.filter((_, axis) => !axes.includes(axis));
}

/** The shape with the given axes kept at size 1. */
export function keptAxes(shape: readonly number[], axes: readonly number[]): readonly number[] {
  return shape.map((n, axis) => (axes.includes(axis) ? 1 : n));
}
