import { apply, definePrimitive, type Primitive } from "../bind.ts";
import { promote } from "../dtype.ts";
import { ShapeError, showShape } from "../errors.ts";
import { normalizeAxis, stridesOf } from "../shape.ts";
import { type Aval, asTensor, type Scalar, type Tensor } from "../tensor.ts";
import { broadcastTo } from "./broadcast.ts";
import { cast } from "./cast.ts";
import { copyStrided } from "./layout.ts";

// Parts and wholes: slice, pad, concat and flip, closed under their own pullbacks.

interface SliceParams {
  readonly starts: readonly number[];
  readonly limits: readonly number[];
  readonly strides: readonly number[];
}

export const slicePrimitive: Primitive<SliceParams> = definePrimitive<SliceParams>({
  name: "slice",
  shape: ([x], { starts, limits, strides }) => ({
    shape: starts.map((start, axis) => Math.ceil((limits[axis] - start) / strides[axis])),
    dtype: x.dtype,
    weak: x.weak,
  }),
  value(out, [x], { starts, strides }, { shape }) {
    const own = stridesOf(x.shape);
    const offset = starts.reduce((at, start, axis) => at + start * own[axis], 0);
    copyStrided(
      x.data.subarray(offset),
      out,
      shape,
      own.map((s, axis) => s * strides[axis]),
    );
  },
  fill: ([v]) => v,
  vjp: (g, [x], y, { starts, strides }) => [
    () =>
      apply(padPrimitive, [g], {
        low: starts,
        high: x.shape.map(
          (n, axis) => n - starts[axis] - (y.shape[axis] > 0 ? (y.shape[axis] - 1) * strides[axis] + 1 : 0),
        ),
        interior: strides.map((s) => s - 1),
        value: 0,
      }),
  ],
  batch: (size, [x], _, { starts, limits, strides }) =>
    apply(slicePrimitive, [x], { starts: [0, ...starts], limits: [size, ...limits], strides: [1, ...strides] }),
  show: ({ starts, limits, strides }) =>
    `[${starts.map((start, axis) => `${start}:${limits[axis]}${strides[axis] === 1 ? "" : `:${strides[axis]}`}`).join(", ")}]`,
});

/**
 * The block from `starts` (included) to `limits` (excluded), every `strides`-th element of it. Negative positions count from the end;
 * axes not given are taken whole.
 *
 * @throws ShapeError when a position lies outside the tensor
 */
export function slice(
  x: Scalar,
  starts: readonly number[],
  limits: readonly number[] = [],
  options: { readonly strides?: readonly number[] } = {},
): Tensor {
  const t = asTensor("slice", x);
  const { shape } = t;
  const at = (given: number | undefined, n: number, otherwise: number): number =>
    given === undefined ? otherwise : given < 0 ? given + n : given;
  const params = {
    starts: shape.map((n, axis) => at(starts[axis], n, 0)),
    limits: shape.map((n, axis) => at(limits[axis], n, n)),
    strides: shape.map((_, axis) => options.strides?.[axis] ?? 1),
  };
  const bad = shape.findIndex((n, axis) => {
    const [start, limit, stride] = [params.starts[axis], params.limits[axis], params.strides[axis]];
    const whole = [start, limit, stride].every(Number.isInteger);
    return !whole || start < 0 || limit > n || start > limit || stride < 1;
  });
  if (bad >= 0 || starts.length > shape.length || limits.length > shape.length) {
    throw new ShapeError(
      `slice: expected 0 ≤ start ≤ limit ≤ size and strides ≥ 1 for ${showShape(shape)}, ` +
        `got starts ${showShape(starts)}, limits ${showShape(limits)}${options.strides ? `, strides ${showShape(options.strides)}` : ""}`,
    );
  }
  const whole = shape.every((n, a) => params.starts[a] === 0 && params.limits[a] === n && params.strides[a] === 1);
  return whole ? t : apply(slicePrimitive, [t], params);
}

interface PadParams {
  readonly low: readonly number[];
  readonly high: readonly number[];
  /** How many padding elements go between neighbours. */
  readonly interior: readonly number[];
  readonly value: number;
}

export const padPrimitive: Primitive<PadParams> = definePrimitive<PadParams>({
  name: "pad",
  shape: ([x], { low, high, interior }) => ({
    shape: x.shape.map((n, axis) => low[axis] + high[axis] + n + Math.max(n - 1, 0) * interior[axis]),
    dtype: x.dtype,
    weak: x.weak,
  }),
  value(out, [x], { low, interior, value }, { shape }) {
    if (value !== 0) out.fill(value);
    const into = stridesOf(shape);
    const data = x.data;
    let from = 0;
    const visit = (axis: number, at: number): void => {
      if (axis === x.shape.length) out[at] = data[from++];
      else
        for (let i = 0; i < x.shape[axis]; i++)
          visit(axis + 1, at + (low[axis] + i * (interior[axis] + 1)) * into[axis]);
    };
    visit(0, 0);
  },
  vjp: (g, [x], _, { low, interior }) => [
    () =>
      apply(slicePrimitive, [g], {
        starts: low,
        limits: x.shape.map((n, axis) => low[axis] + (n > 0 ? (n - 1) * (interior[axis] + 1) + 1 : 0)),
        strides: interior.map((n) => n + 1),
      }),
  ],
  batch: (_, [x], __, { low, high, interior, value }) =>
    apply(padPrimitive, [x], { low: [0, ...low], high: [0, ...high], interior: [0, ...interior], value }),
  show: ({ low, high, interior, value }) =>
    `[${low.map((n, axis) => `${n}+${high[axis]}${interior[axis] ? `/${interior[axis]}` : ""}`).join(", ")}]${value ? ` of ${value}` : ""}`,
});

/**
 * Put `[before, after]` elements of `value` (default 0) around each axis.
 *
 * @throws ShapeError when a width is negative or the widths are not one pair per axis
 */
export function pad(
  x: Scalar,
  widths: readonly (readonly [number, number])[],
  options: { readonly value?: number } = {},
): Tensor {
  const t = asTensor("pad", x);
  if (widths.length !== t.shape.length || widths.some((w) => w.some((n) => !Number.isInteger(n) || n < 0))) {
    throw new ShapeError(
      `pad: expected ${t.shape.length} pairs of widths ≥ 0 for ${showShape(t.shape)}, got ${JSON.stringify(widths)}`,
    );
  }
  if (widths.every(([lo, hi]) => lo === 0 && hi === 0)) return t;
  const [low, high] = [widths.map(([lo]) => lo), widths.map(([, hi]) => hi)];
  return apply(padPrimitive, [t], { low, high, interior: low.map(() => 0), value: options.value ?? 0 });
}

interface ConcatParams {
  readonly axis: number;
}

export const concatPrimitive: Primitive<ConcatParams> = definePrimitive<ConcatParams>({
  name: "concat",
  shape(args, { axis }) {
    const [first] = args;
    for (const x of args) {
      if (x.shape.length !== first.shape.length || x.shape.some((n, i) => i !== axis && n !== first.shape[i])) {
        const expected = first.shape.map((n, i) => (i === axis ? "any" : n)).join(", ");
        throw new ShapeError(
          `concat: expected shapes (${expected}) to join along axis ${axis}, got ${showShape(x.shape)}`,
        );
      }
    }
    const joined = args.reduce((n, x) => n + x.shape[axis], 0);
    return {
      shape: first.shape.map((n, i) => (i === axis ? joined : n)),
      dtype: first.dtype,
      weak: args.every((x) => x.weak),
    };
  },
  value(out, args, { axis }, { shape }) {
    const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
    const row = shape[axis] * inner;
    let at = 0;
    for (const x of args) {
      const width = x.shape[axis] * inner;
      for (let o = 0; o * row < out.length; o++) out.set(x.data.subarray(o * width, (o + 1) * width), o * row + at);
      at += width;
    }
  },
  vjp(g, args, _, { axis }) {
    let at = 0;
    return args.map((x) => {
      const from = at;
      at += x.shape[axis];
      return () => alongAxis(g, axis, from, from + x.shape[axis]);
    });
  },
  batch: (size, args, batched, { axis }) =>
    apply(
      concatPrimitive,
      args.map((x, i) => (batched[i] ? x : broadcastTo(x, [size, ...x.shape]))),
      { axis: axis + 1 },
    ),
  show: ({ axis }) => `axis ${axis}`,
});

/** The part of x between two positions along one axis. */
export function alongAxis(x: Tensor, axis: number, from: number, to: number): Tensor {
  const range = (of: (i: number) => number): number[] => x.shape.map((_, i) => of(i));
  return slice(
    x,
    range((i) => (i === axis ? from : 0)),
    range((i) => (i === axis ? to : x.shape[i])),
  );
}

/**
 * Join tensors along an existing axis (default 0). Dtypes are promoted to the largest.
 *
 * @throws ShapeError when there are none, or the other axes differ
 */
export function concat(xs: readonly Tensor[], options: { readonly axis?: number } = {}): Tensor {
  if (xs.length === 0) throw new ShapeError("concat: expected at least one tensor, got none");
  const axis = normalizeAxis("concat", options.axis ?? 0, xs[0].shape.length);
  if (xs.length === 1) return xs[0];
  const dtype = commonDType(xs);
  return apply(concatPrimitive, dtype === "weak" ? xs : xs.map((x) => cast(x, dtype)), { axis });
}

function commonDType(xs: readonly Aval[]): Aval["dtype"] | "weak" {
  const strong = xs.filter((x) => !x.weak).map((x) => x.dtype);
  if (strong.length === 0) return "weak";
  return strong.reduce(
    promote,
    strong.length < xs.length && strong.every((d) => d === "int32" || d === "bool") ? "float32" : "bool",
  );
}

interface FlipParams {
  readonly axis: number;
}

export const flipPrimitive: Primitive<FlipParams> = definePrimitive<FlipParams>({
  name: "flip",
  shape: ([x]) => ({ shape: x.shape, dtype: x.dtype, weak: x.weak }),
  value(out, [x], { axis }, { shape }) {
    const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
    const n = shape[axis];
    for (let row = 0; row * inner < out.length; row++) {
      const mirrored = row - (row % n) + (n - 1 - (row % n));
      out.set(x.data.subarray(mirrored * inner, (mirrored + 1) * inner), row * inner);
    }
  },
  fill: ([v]) => v,
  vjp: (g, _, __, params) => [() => apply(flipPrimitive, [g], params)],
  batch: (_, [x], __, { axis }) => apply(flipPrimitive, [x], { axis: axis + 1 }),
  show: ({ axis }) => `axis ${axis}`,
});

/** Reverse the order along an axis. */
export function flip(x: Scalar, options: { readonly axis?: number } = {}): Tensor {
  const t = asTensor("flip", x);
  return apply(flipPrimitive, [t], { axis: normalizeAxis("flip", options.axis ?? -1, t.shape.length) });
}
