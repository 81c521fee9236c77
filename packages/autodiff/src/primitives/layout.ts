import { apply, definePrimitive, type Primitive } from "../bind.ts";
import { ShapeError, showShape } from "../errors.ts";
import { checkShape, normalizeAxis, sameShape, sizeOf, stridesOf } from "../shape.ts";
import { asTensor, type Scalar, type Tensor } from "../tensor.ts";

// Where elements lie: reshape and transpose, each the other way round its own pullback.

interface ReshapeParams {
  readonly shape: readonly number[];
}

export const reshapePrimitive: Primitive<ReshapeParams> = {
  name: "reshape",
  shape: ([x], { shape }) => [{ shape, dtype: x.dtype, weak: x.weak }],
  value: ([x], _, [aval]) => [x.as(aval)],
  vjp: ([g], [x]) => [g && reshape(g, x.shape)],
  batch: (size, [x], _, { shape }) => [reshape(x, [size, ...shape])],
  show: ({ shape }) => showShape(shape),
};

/**
 * The same elements in the same order under another shape; one size may be −1, which stands for what is left.
 *
 * @throws ShapeError when the sizes do not multiply to the number of elements
 */
export function reshape(x: Scalar, shape: readonly number[]): Tensor {
  const t = asTensor("reshape", x);
  const target = fillIn(shape, t);
  return sameShape(target, t.shape) ? t : apply(reshapePrimitive, [t], { shape: target });
}

function fillIn(shape: readonly number[], x: Tensor): readonly number[] {
  const open = shape.indexOf(-1);
  const known = shape.filter((_, axis) => axis !== open);
  checkShape("reshape", known);
  const rest = x.size / sizeOf(known);
  if (open < 0 ? rest !== 1 && !(x.size === 0 && sizeOf(known) === 0) : !Number.isInteger(rest)) {
    throw new ShapeError(
      `reshape: expected a shape of ${x.size} elements for ${showShape(x.shape)}, got ${showShape(shape)}`,
    );
  }
  return open < 0 ? shape : shape.map((n, axis) => (axis === open ? rest : n));
}

interface TransposeParams {
  readonly axes: readonly number[];
}

export const transposePrimitive: Primitive<TransposeParams> = definePrimitive<TransposeParams>({
  name: "transpose",
  shape: ([x], { axes }) => ({ shape: axes.map((axis) => x.shape[axis]), dtype: x.dtype, weak: x.weak }),
  value(out, [x], { axes }, { shape }) {
    const from = stridesOf(x.shape);
    copyStrided(
      x.data,
      out,
      shape,
      axes.map((axis) => from[axis]),
    );
  },
  fill: ([v]) => v,
  vjp: (g, _, __, { axes }) => [() => transpose(g, inverse(axes))],
  batch: (_, [x], __, { axes }) => transpose(x, [0, ...axes.map((axis) => axis + 1)]),
  show: ({ axes }) => `(${axes.join(", ")})`,
});

/** Fill `out`, row-major of `shape`, from storage read at the given strides. */
export function copyStrided(
  from: { readonly [index: number]: number },
  out: { [index: number]: number },
  shape: readonly number[],
  strides: readonly number[],
): void {
  const last = shape.length - 1;
  let at = 0;
  const visit = (axis: number, offset: number): void => {
    const n = axis < 0 ? 1 : shape[axis];
    const stride = axis < 0 ? 0 : strides[axis];
    if (axis === last || axis < 0) for (let i = 0, j = offset; i < n; i++, j += stride) out[at++] = from[j];
    else for (let i = 0; i < n; i++) visit(axis + 1, offset + i * stride);
  };
  visit(last < 0 ? -1 : 0, 0);
}

function inverse(axes: readonly number[]): number[] {
  const back = new Array<number>(axes.length);
  axes.forEach((axis, i) => {
    back[axis] = i;
  });
  return back;
}

/** Permute axes: axis i of the result is axis `axes[i]` of x; by default reverse them all. */
export function transpose(x: Scalar, axes?: readonly number[]): Tensor {
  const t = asTensor("transpose", x);
  const rank = t.shape.length;
  const order = axes?.map((axis) => normalizeAxis("transpose", axis, rank)) ?? t.shape.map((_, i) => rank - 1 - i);
  if (order.length !== rank || new Set(order).size !== rank) {
    throw new ShapeError(
      `transpose: expected a permutation of ${rank} axes for ${showShape(t.shape)}, got (${axes?.join(", ")})`,
    );
  }
  return order.every((axis, i) => axis === i) ? t : apply(transposePrimitive, [t], { axes: order });
}

/** Move one axis to another place; the others keep their order. */
export function moveAxis(x: Scalar, from: number, to: number): Tensor {
  const t = asTensor("moveAxis", x);
  const rank = t.shape.length;
  const axes = t.shape.map((_, i) => i);
  const [axis] = axes.splice(normalizeAxis("moveAxis", from, rank), 1);
  axes.splice(normalizeAxis("moveAxis", to, rank), 0, axis);
  return transpose(t, axes);
}

/** Exchange two axes. */
export function swapAxes(x: Scalar, a: number, b: number): Tensor {
  const t = asTensor("swapAxes", x);
  const rank = t.shape.length;
  const [i, j] = [normalizeAxis("swapAxes", a, rank), normalizeAxis("swapAxes", b, rank)];
  return transpose(
    t,
    t.shape.map((_, axis) => (axis === i ? j : axis === j ? i : axis)),
  );
}

/** Insert an axis of size 1, so that it becomes axis `axis` of the result. */
export function expandDims(x: Scalar, axis: number): Tensor {
  const t = asTensor("expandDims", x);
  const shape = [...t.shape];
  shape.splice(normalizeAxis("expandDims", axis, shape.length + 1), 0, 1);
  return reshape(t, shape);
}

/** Drop axes of size 1: the given ones, or all. */
export function squeeze(x: Scalar, axis?: number | readonly number[]): Tensor {
  const t = asTensor("squeeze", x);
  if (axis === undefined)
    return reshape(
      t,
      t.shape.filter((n) => n !== 1),
    );
  const axes = (typeof axis === "number" ? [axis] : axis).map((a) => normalizeAxis("squeeze", a, t.shape.length));
  for (const a of axes) {
    if (t.shape[a] !== 1) throw new ShapeError(`squeeze: expected size 1 at axis ${a}, got ${showShape(t.shape)}`);
  }
  return reshape(
    t,
    t.shape.filter((_, i) => !axes.includes(i)),
  );
}
