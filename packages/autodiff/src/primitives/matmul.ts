import { apply, definePrimitive, type Primitive } from "../bind.ts";
import type { Data } from "../dtype.ts";
import { ShapeError, showShape } from "../errors.ts";
import { broadcastShapes, broadcastStrides, sizeOf } from "../shape.ts";
import type { Scalar, Tensor } from "../tensor.ts";
import { alignRanks, sumTo } from "./broadcast.ts";
import { cast } from "./cast.ts";
import { promoteOperands } from "./elementwise.ts";
import { reshape, swapAxes } from "./layout.ts";

export const matmulPrimitive: Primitive<null> = definePrimitive<null>({
  name: "matmul",
  shape([a, b]) {
    const n = a.shape[a.shape.length - 2];
    const m = b.shape[b.shape.length - 1];
    const lead = broadcastShapes("matmul", a.shape.slice(0, -2), b.shape.slice(0, -2));
    return { shape: [...lead, n, m], dtype: a.dtype, weak: a.weak && b.weak };
  },
  value(out, [a, b], _, { shape }) {
    const [n, k] = a.shape.slice(-2);
    const m = b.shape[b.shape.length - 1];
    const lead = shape.slice(0, -2);
    const stepsA = broadcastStrides(a.shape.slice(0, -2), lead);
    const stepsB = broadcastStrides(b.shape.slice(0, -2), lead);
    for (let i = 0; i < sizeOf(lead); i++) {
      let [from, rest, at] = [0, i, 0];
      for (let axis = lead.length - 1; axis >= 0; axis--) {
        const index = rest % lead[axis];
        rest = (rest - index) / lead[axis];
        from += index * stepsA[axis];
        at += index * stepsB[axis];
      }
      product(out, i * n * m, a.data, from * n * k, b.data, at * k * m, n, k, m);
    }
  },
  vjp: (g, [a, b]) => [
    () => sumTo(matmul(g, swapAxes(b, -1, -2)), a.shape),
    () => sumTo(matmul(swapAxes(a, -1, -2), g), b.shape),
  ],
  batch: (_, args, batched) => apply(matmulPrimitive, alignRanks(args, batched), null),
});

/** c = a b, row-major, four rows of a at a time so that each row of b is read a quarter as often. */
function product(
  c: Data,
  atC: number,
  a: Data,
  atA: number,
  b: Data,
  atB: number,
  n: number,
  k: number,
  m: number,
): void {
  const rows = new Float64Array(4 * m);
  for (let i = 0; i < n; i += 4) {
    const height = Math.min(4, n - i);
    rows.fill(0);
    for (let p = 0; p < k; p++) {
      const from = atA + i * k + p;
      const a0 = a[from];
      const a1 = height > 1 ? a[from + k] : 0;
      const a2 = height > 2 ? a[from + 2 * k] : 0;
      const a3 = height > 3 ? a[from + 3 * k] : 0;
      const row = atB + p * m;
      for (let j = 0; j < m; j++) {
        const v = b[row + j];
        rows[j] += a0 * v;
        rows[m + j] += a1 * v;
        rows[2 * m + j] += a2 * v;
        rows[3 * m + j] += a3 * v;
      }
    }
    const to = atC + i * m;
    for (let j = 0; j < height * m; j++) c[to + j] = rows[j];
  }
}

/**
 * Matrix product over the last two axes, (…, n, k) × (…, k, m) → (…, n, m); leading axes broadcast. A vector on the left is a row, on
 * the right a column, and its axis is dropped from the result. O(n·k·m) time.
 *
 * @throws ShapeError when the inner sizes differ, or an operand is a scalar
 */
export function matmul(x: Scalar, y: Scalar): Tensor {
  const [a, b] = promoteOperands("matmul", x, y).map((t) => (t.dtype === "bool" ? cast(t, "int32") : t));
  if (a.shape.length === 0 || b.shape.length === 0) {
    throw new ShapeError(
      `matmul: expected matrices, got ${showShape(a.shape)} and ${showShape(b.shape)}; use mul for scalars`,
    );
  }
  const k = a.shape[a.shape.length - 1];
  if (k !== b.shape[Math.max(b.shape.length - 2, 0)]) {
    const expected = b.shape.length === 1 ? `(k=${k},)` : `(k=${k}, m)`;
    throw new ShapeError(`matmul: expected b ${expected} for a ${showShape(a.shape)}, got ${showShape(b.shape)}`);
  }
  if (a.shape.length === 1) {
    const row = matmul(reshape(a, [1, a.size]), b);
    return reshape(row, b.shape.length === 1 ? [] : [...row.shape.slice(0, -2), row.shape[row.shape.length - 1]]);
  }
  if (b.shape.length === 1) {
    const column = matmul(a, reshape(b, [b.size, 1]));
    return reshape(column, column.shape.slice(0, -1));
  }
  // One tall product instead of a batch of small ones, so that the pullback for b is one product too, not a sum over the batch.
  if (b.shape.length === 2 && a.shape.length > 2) {
    const lead = a.shape.slice(0, -1);
    const tall = apply(matmulPrimitive, [reshape(a, [sizeOf(lead), k]), b], null);
    return reshape(tall, [...lead, b.shape[1]]);
  }
  return apply(matmulPrimitive, [a, b], null);
}
