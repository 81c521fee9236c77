import { apply, definePrimitive, type Primitive } from "../bind.ts";
import { isFloat } from "../dtype.ts";
import { ShapeError, showShape } from "../errors.ts";
import { normalizeAxes, normalizeAxis } from "../shape.ts";
import { asTensor, type Scalar, type Tensor } from "../tensor.ts";
import { broadcastTo, keptAxes, reducedLast, sum, withoutAxes } from "./broadcast.ts";
import { cast } from "./cast.ts";
import { div, equal, mul, neg, sub } from "./elementwise.ts";
import { reshape } from "./layout.ts";

// Reductions that choose, and running sums. The sum itself lives with broadcasting, whose pullback it is.

interface AxesParams {
  readonly axes: readonly number[];
}

export const maxPrimitive: Primitive<AxesParams> = definePrimitive<AxesParams>({
  name: "max",
  shape([x], { axes }) {
    if (axes.some((axis) => x.shape[axis] === 0)) {
      throw new ShapeError(
        `max: expected at least one element along axes ${axes.join(", ")}, got ${showShape(x.shape)}`,
      );
    }
    return { shape: withoutAxes(x.shape, axes), dtype: x.dtype, weak: x.weak };
  },
  value(out, [x], { axes }) {
    const { data, inner } = reducedLast(x, axes);
    for (let i = 0; i < out.length; i++) {
      let best = data[i * inner];
      for (let j = i * inner + 1; j < (i + 1) * inner; j++) best = Math.max(best, data[j]);
      out[i] = best;
    }
  },
  vjp(g, [x], y, { axes }) {
    const spread = (t: Tensor): Tensor => broadcastTo(reshape(t, keptAxes(x.shape, axes)), x.shape);
    return [
      () => {
        const winners = cast(equal(x, spread(y)), x.dtype);
        return mul(winners, spread(div(g, sum(winners, { axis: axes }))));
      },
    ];
  },
  batch: (_, [x], __, { axes }) => apply(maxPrimitive, [x], { axes: axes.map((axis) => axis + 1) }),
  show: ({ axes }) => `axes ${axes.join(",")}`,
});

/** The largest element over axes (all by default); NaN if one is. Ties share the cotangent equally. */
export function max(
  x: Scalar,
  options: { readonly axis?: number | readonly number[]; readonly keepDims?: boolean } = {},
): Tensor {
  const given = asTensor("max", x);
  const t = given.dtype === "bool" ? cast(given, "int32") : given;
  const axes = normalizeAxes("max", options.axis, t.shape.length);
  const y = axes.length === 0 ? t : apply(maxPrimitive, [t], { axes });
  return options.keepDims ? reshape(y, keptAxes(t.shape, axes)) : y;
}

/** The smallest element over axes (all by default); NaN if one is. Ties share the cotangent equally. */
export function min(
  x: Scalar,
  options: { readonly axis?: number | readonly number[]; readonly keepDims?: boolean } = {},
): Tensor {
  return reversed(max(reversed(asTensor("min", x)), options));
}

/** The values in reverse order; done twice, the values. For integers −1 − x, since −x of −2³¹ does not exist. */
function reversed(x: Tensor): Tensor {
  return isFloat(x.dtype) ? neg(x) : sub(-1, x);
}

interface AxisParams {
  readonly axis: number;
}

export const argmaxPrimitive: Primitive<AxisParams> = definePrimitive<AxisParams>({
  name: "argmax",
  shape([x], { axis }) {
    if (x.shape[axis] === 0) {
      throw new ShapeError(`argmax: expected at least one element along axis ${axis}, got ${showShape(x.shape)}`);
    }
    return { shape: withoutAxes(x.shape, [axis]), dtype: "int32", weak: false };
  },
  value(out, [x], { axis }) {
    const { data, inner } = reducedLast(x, [axis]);
    for (let i = 0; i < out.length; i++) {
      let best = 0;
      for (let j = 1; j < inner; j++) {
        const v = data[i * inner + j];
        const top = data[i * inner + best];
        if (v > top || (Number.isNaN(v) && !Number.isNaN(top))) best = j;
      }
      out[i] = best;
    }
  },
  batch: (_, [x], __, { axis }) => apply(argmaxPrimitive, [x], { axis: axis + 1 }),
  show: ({ axis }) => `axis ${axis}`,
});

/** Where the largest element along an axis is, the first of equals: int32. Default: the last axis. */
export function argmax(x: Scalar, options: { readonly axis?: number } = {}): Tensor {
  const t = asTensor("argmax", x);
  return apply(argmaxPrimitive, [t], { axis: normalizeAxis("argmax", options.axis ?? -1, t.shape.length) });
}

/** Where the smallest element along an axis is, the first of equals: int32. Default: the last axis. */
export function argmin(x: Scalar, options: { readonly axis?: number } = {}): Tensor {
  return argmax(reversed(asTensor("argmin", x)), options);
}

export const argsortPrimitive: Primitive<AxisParams> = definePrimitive<AxisParams>({
  name: "argsort",
  shape: ([x]) => ({ shape: x.shape, dtype: "int32", weak: false }),
  value(out, [x], { axis }, { shape }) {
    const n = shape[axis];
    const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
    for (let block = 0; block < x.size; block += n * inner) {
      for (let i = block; i < block + inner; i++) {
        const key = (j: number): number => x.data[i + j * inner];
        const order = Int32Array.from({ length: n }, (_, j) => j).sort((a, b) => rank(key(a), key(b)) || a - b);
        for (let j = 0; j < n; j++) out[i + j * inner] = order[j];
      }
    }
  },
  batch: (_, [x], __, { axis }) => apply(argsortPrimitive, [x], { axis: axis + 1 }),
  show: ({ axis }) => `axis ${axis}`,
});

function rank(a: number, b: number): number {
  if (Number.isNaN(a) || Number.isNaN(b)) return Number(Number.isNaN(a)) - Number(Number.isNaN(b));
  return a < b ? -1 : a > b ? 1 : 0;
}

/** The order that sorts along an axis, smallest first, NaN last, equals in place: int32. Default: the last axis. */
export function argsort(x: Scalar, options: { readonly axis?: number } = {}): Tensor {
  const t = asTensor("argsort", x);
  return apply(argsortPrimitive, [t], { axis: normalizeAxis("argsort", options.axis ?? -1, t.shape.length) });
}

interface CumsumParams {
  readonly axis: number;
  readonly reverse: boolean;
}

export const cumsumPrimitive: Primitive<CumsumParams> = definePrimitive<CumsumParams>({
  name: "cumsum",
  shape: ([x]) => ({ shape: x.shape, dtype: x.dtype, weak: x.weak }),
  value(out, [x], { axis, reverse }, { shape }) {
    const n = shape[axis];
    const inner = shape.slice(axis + 1).reduce((a, b) => a * b, 1);
    const step = reverse ? -inner : inner;
    const wraps = out instanceof Int32Array;
    for (let block = 0; block < x.size; block += n * inner) {
      for (let i = block; i < block + inner; i++) {
        let total = 0;
        for (let k = 0, at = reverse ? i + (n - 1) * inner : i; k < n; k++, at += step) {
          total += x.data[at];
          if (wraps) total |= 0;
          out[at] = total;
        }
      }
    }
  },
  vjp: (g, _, __, { axis, reverse }) => [() => cumsum(g, { axis, reverse: !reverse })],
  batch: (_, [x], __, { axis, reverse }) => apply(cumsumPrimitive, [x], { axis: axis + 1, reverse }),
  show: ({ axis, reverse }) => `axis ${axis}${reverse ? ", reverse" : ""}`,
});

/** Running sums along an axis (default: the last), itself included; from the end when `reverse`. */
export function cumsum(x: Scalar, options: { readonly axis?: number; readonly reverse?: boolean } = {}): Tensor {
  const given = asTensor("cumsum", x);
  const t = isFloat(given.dtype) ? given : cast(given, "int32");
  const axis = normalizeAxis("cumsum", options.axis ?? -1, t.shape.length);
  return apply(cumsumPrimitive, [t], { axis, reverse: options.reverse ?? false });
}
