import { iota } from "../create.ts";
import type { DType } from "../dtype.ts";
import { DTypeError, ShapeError, showShape } from "../errors.ts";
import { broadcastTo } from "../primitives/broadcast.ts";
import { cast } from "../primitives/cast.ts";
import { add, equal, lessEqual, mul, where } from "../primitives/elementwise.ts";
import { checkedRows, take } from "../primitives/gather.ts";
import { expandDims, moveAxis, reshape } from "../primitives/layout.ts";
import { argsort } from "../primitives/reduce.ts";
import { alongAxis, concat } from "../primitives/window.ts";
import { checkCount, checkShape, normalizeAxis } from "../shape.ts";
import { asTensor, type Scalar, type Tensor } from "../tensor.ts";

/** Join tensors of one shape along a new axis (default 0). */
export function stack(xs: readonly Scalar[], options: { readonly axis?: number } = {}): Tensor {
  const axis = options.axis ?? 0;
  return concat(
    xs.map((x) => expandDims(x, axis)),
    { axis },
  );
}

/**
 * Cut along an axis (default 0) into that many equal parts, or at the given positions.
 *
 * @throws ShapeError when the axis does not divide
 */
export function split(
  x: Tensor,
  parts: number | readonly number[],
  options: { readonly axis?: number } = {},
): Tensor[] {
  const axis = normalizeAxis("split", options.axis ?? 0, x.shape.length);
  const n = x.shape[axis];
  if (typeof parts === "number" && !(Number.isInteger(parts) && parts > 0 && n % parts === 0)) {
    throw new ShapeError(
      `split: expected axis ${axis} of ${showShape(x.shape)} to divide into ${parts} parts, got size ${n}; give positions instead`,
    );
  }
  const inner = typeof parts === "number" ? Array.from({ length: parts - 1 }, (_, i) => ((i + 1) * n) / parts) : parts;
  const cuts = [0, ...inner, n];
  return cuts.slice(1).map((to, i) => alongAxis(x, axis, cuts[i], to));
}

/** One element along an axis for each index: `y[i, j] = x[i, indices[i, j]]` for the last axis (the default). */
export function takeAlongAxis(x: Tensor, indices: Tensor, options: { readonly axis?: number } = {}): Tensor {
  const axis = normalizeAxis("takeAlongAxis", options.axis ?? -1, x.shape.length);
  if (indices.dtype !== "int32")
    throw new DTypeError(`takeAlongAxis: expected int32 indices, got ${indices.dtype}; cast them first`);
  const table = moveAxis(x, axis, -1);
  const wanted = moveAxis(indices, axis, -1);
  const n = table.shape[table.shape.length - 1];
  const lead = table.shape.slice(0, -1);
  const list = broadcastTo(wanted, [...lead, wanted.shape[wanted.shape.length - 1]]);
  const rows = reshape(mul(iota(lead.reduce((a, b) => a * b, 1)), n), [...lead, 1]);
  return moveAxis(take(reshape(table, [-1]), add(checkedRows(list, n), rows)), -1, axis);
}

/** Vectors with a 1 where the index says, along a new last axis of size n; indices outside 0 … n − 1 give zeros. float32 by default. */
export function oneHot(indices: Scalar, n: number, options: { readonly dtype?: DType } = {}): Tensor {
  return cast(equal(expandDims(asTensor("oneHot", indices), -1), iota(n)), options.dtype ?? "float32");
}

/** Put copies one after another along each axis. */
export function tile(x: Scalar, repeats: readonly number[]): Tensor {
  const t = asTensor("tile", x);
  checkShape("tile", repeats, "repeats");
  const rank = Math.max(t.shape.length, repeats.length);
  const shape = [...new Array<number>(rank - t.shape.length).fill(1), ...t.shape];
  const times = [...new Array<number>(rank - repeats.length).fill(1), ...repeats];
  const apart = reshape(
    t,
    shape.flatMap((n) => [1, n]),
  );
  const copies = broadcastTo(
    apart,
    shape.flatMap((n, axis) => [times[axis], n]),
  );
  return reshape(
    copies,
    shape.map((n, axis) => n * times[axis]),
  );
}

/** Put copies of each element beside it along an axis (default: the last). */
export function repeat(x: Scalar, times: number, options: { readonly axis?: number } = {}): Tensor {
  const t = asTensor("repeat", x);
  checkCount("repeat", "times", times);
  const axis = normalizeAxis("repeat", options.axis ?? -1, t.shape.length);
  const apart = expandDims(t, axis + 1);
  const copies = broadcastTo(
    apart,
    apart.shape.map((n, i) => (i === axis + 1 ? times : n)),
  );
  return reshape(
    copies,
    t.shape.map((n, i) => (i === axis ? n * times : n)),
  );
}

/** Sorted along an axis (default: the last), smallest first, NaN last. */
export function sort(x: Tensor, options: { readonly axis?: number } = {}): Tensor {
  return takeAlongAxis(x, argsort(x, options), options);
}

/** Matrices with zeros above diagonal k (0 is the main one, positive ones lie above it). */
export function tril(x: Tensor, k = 0): Tensor {
  return triangle("tril", x, (row, column) => lessEqual(column, add(row, k)));
}

/** Matrices with zeros below diagonal k. */
export function triu(x: Tensor, k = 0): Tensor {
  return triangle("triu", x, (row, column) => lessEqual(add(row, k), column));
}

function triangle(op: string, x: Tensor, keep: (row: Tensor, column: Tensor) => Tensor): Tensor {
  if (x.shape.length < 2) throw new ShapeError(`${op}: expected matrices, got ${showShape(x.shape)}`);
  const [n, m] = x.shape.slice(-2);
  return where(keep(expandDims(iota(n), 1), iota(m)), x, 0);
}
