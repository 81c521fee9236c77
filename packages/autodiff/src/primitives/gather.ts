import { apply, definePrimitive, type Primitive } from "../bind.ts";
import { iota } from "../create.ts";
import { DTypeError, ShapeError, showShape } from "../errors.ts";
import { normalizeAxis, sameShape, sizeOf } from "../shape.ts";
import { asTensor, type Scalar, type Tensor, zerosLike } from "../tensor.ts";
import { broadcastTo } from "./broadcast.ts";
import { cast } from "./cast.ts";
import { add, mul } from "./elementwise.ts";
import { moveAxis, reshape, transpose } from "./layout.ts";

// Rows by number: reading them (gather) and adding to them (scatterAdd), each the other's pullback.

export const gatherPrimitive: Primitive<null> = definePrimitive<null>({
  name: "gather",
  shape: ([x, indices]) => ({ shape: [...indices.shape, ...x.shape.slice(1)], dtype: x.dtype, weak: x.weak }),
  value(out, [x, indices]) {
    const width = sizeOf(x.shape.slice(1));
    const table = x.data;
    const rows = indices.data;
    for (let i = 0, at = 0; i < rows.length; i++) {
      const from = checkRow("take", rows[i], x.shape[0]) * width;
      for (let c = 0; c < width; c++) out[at++] = table[from + c];
    }
  },
  vjp: (g, [x, indices]) => [() => scatterAdd(zerosLike(x), indices, g), null],
  batch(size, [x, indices], [tables, lists]) {
    if (!tables) return apply(gatherPrimitive, [x, indices], null);
    if (!lists) return moveAxis(apply(gatherPrimitive, [moveAxis(x, 0, 1), indices], null), indices.shape.length, 0);
    const rows = x.shape[1];
    return apply(gatherPrimitive, [joinRows(x), offsetRows(indices, size, rows)], null);
  },
});

export const scatterAddPrimitive: Primitive<null> = definePrimitive<null>({
  name: "scatterAdd",
  shape([x, indices, updates]) {
    const expected = [...indices.shape, ...x.shape.slice(1)];
    if (!sameShape(updates.shape, expected)) {
      throw new ShapeError(
        `scatterAdd: expected updates ${showShape(expected)} for x ${showShape(x.shape)} and indices ${showShape(indices.shape)}, ` +
          `got ${showShape(updates.shape)}`,
      );
    }
    return { shape: x.shape, dtype: x.dtype, weak: false };
  },
  value(out, [x, indices, updates]) {
    out.set(x.data);
    const width = sizeOf(x.shape.slice(1));
    const from = updates.data;
    const rows = indices.data;
    for (let i = 0, at = 0; i < rows.length; i++) {
      const to = checkRow("scatterAdd", rows[i], x.shape[0]) * width;
      for (let c = 0; c < width; c++) out[to + c] += from[at++];
    }
  },
  vjp: (g, [, indices]) => [() => g, null, () => apply(gatherPrimitive, [g, indices], null)],
  batch(size, args, batched) {
    const [x, indices, updates] = args.map((t, i) => (batched[i] ? t : broadcastTo(t, [size, ...t.shape])));
    const rows = x.shape[1];
    return reshape(apply(scatterAddPrimitive, [joinRows(x), offsetRows(indices, size, rows), updates], null), x.shape);
  },
});

/** (b, rows, …) → (b·rows, …): the tables of a batch under each other. */
function joinRows(x: Tensor): Tensor {
  return reshape(x, [x.shape[0] * x.shape[1], ...x.shape.slice(2)]);
}

/** Row numbers into tables that lie under each other. */
function offsetRows(indices: Tensor, size: number, rows: number): Tensor {
  const offsets = reshape(mul(iota(size), rows), [size, ...indices.shape.slice(1).map(() => 1)]);
  return add(checkedRows(indices, rows), offsets);
}

/** Row numbers as they are, by reading 0 … rows − 1: one outside is refused under its own number, also where it is not known yet. */
export function checkedRows(indices: Tensor, rows: number): Tensor {
  return apply(gatherPrimitive, [iota(rows), indices], null);
}

function checkRow(op: string, row: number, rows: number): number {
  if (row >= 0 && row < rows) return row;
  throw noSuchRow(op, row, rows);
}

/** What is said of a row number outside a table. */
export function noSuchRow(op: string, row: number, rows: number): RangeError {
  return new RangeError(
    `${op}: expected indices from 0 to ${rows - 1}, got ${row}; check the vocabulary size or clip the ids first`,
  );
}

function integers(op: string, x: Scalar): Tensor {
  const t = asTensor(op, x);
  if (typeof x === "number") return cast(t, "int32");
  if (t.dtype !== "int32") throw new DTypeError(`${op}: expected int32 indices, got ${t.dtype}; cast them first`);
  return t;
}

/**
 * Read elements by number along an axis (default 0): the axis is replaced by the axes of `indices`.
 *
 * @throws RangeError when an index is outside the axis, DTypeError when the indices are not int32
 */
export function take(x: Tensor, indices: Scalar, options: { readonly axis?: number } = {}): Tensor {
  const list = integers("take", indices);
  if (x.shape.length === 0) throw new ShapeError("take: expected a tensor with axes, got a scalar");
  const axis = normalizeAxis("take", options.axis ?? 0, x.shape.length);
  const rows = apply(gatherPrimitive, [moveAxis(x, axis, 0), list], null);
  // The axes of the indices came out in front; those of x before `axis` go there.
  const [axes, front] = [rows.shape.map((_, i) => i), list.shape.length];
  return transpose(rows, [...axes.slice(front, front + axis), ...axes.slice(0, front), ...axes.slice(front + axis)]);
}

/**
 * Add rows of `updates` to the rows of x that `indices` number; rows named twice get both. Bools are counted as int32.
 *
 * @param x - (rows, …rest)
 * @param indices - int32, any shape
 * @param updates - (…indices, …rest)
 * @throws RangeError when an index is outside x
 */
export function scatterAdd(x: Tensor, indices: Scalar, updates: Tensor): Tensor {
  const rows = x.dtype === "bool" ? cast(x, "int32") : x;
  return apply(scatterAddPrimitive, [rows, integers("scatterAdd", indices), cast(updates, rows.dtype)], null);
}
