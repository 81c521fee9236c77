// biome-ignore-all format: a tile has one line a row
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
      const multiply = out instanceof Int32Array ? integerProduct : product;
      multiply(out, i * n * m, a.data, from * n * k, b.data, at * k * m, n, k, m);
    }
  },
  vjp: (g, [a, b]) => [
    () => sumTo(matmul(g, swapAxes(b, -1, -2)), a.shape),
    () => sumTo(matmul(swapAxes(a, -1, -2), g), b.shape),
  ],
  batch: (_, args, batched) => apply(matmulPrimitive, alignRanks(args, batched), null),
});

/** c = a b, of (n, k) and (k, m), row-major, each from a place on. */
type Product = (
  c: Data,
  atC: number,
  a: Data,
  atA: number,
  b: Data,
  atB: number,
  n: number,
  k: number,
  m: number,
) => void;

/**
 * In tiles of 4 × 4 whose sums stay in registers, so that each number read serves four products. A tile at the edge
 * is moved inwards where it can be, else it takes the last row or column several times.
 */
const product: Product = (c, atC, a, atA, b, atB, n, k, m) => {
  for (let row = 0; row < n; row += 4) {
    const i0 = Math.max(0, Math.min(row, n - 4));
    const i1 = Math.min(i0 + 1, n - 1);
    const i2 = Math.min(i0 + 2, n - 1);
    const i3 = Math.min(i0 + 3, n - 1);
    for (let column = 0; column < m; column += 4) {
      const j0 = Math.max(0, Math.min(column, m - 4));
      const j1 = Math.min(j0 + 1, m - 1);
      const j2 = Math.min(j0 + 2, m - 1);
      const j3 = Math.min(j0 + 3, m - 1);
      let s00 = 0, s01 = 0, s02 = 0, s03 = 0;
      let s10 = 0, s11 = 0, s12 = 0, s13 = 0;
      let s20 = 0, s21 = 0, s22 = 0, s23 = 0;
      let s30 = 0, s31 = 0, s32 = 0, s33 = 0;
      let p0 = atA + i0 * k;
      let p1 = atA + i1 * k;
      let p2 = atA + i2 * k;
      let p3 = atA + i3 * k;
      for (let q = atB, end = atB + k * m; q < end; q += m) {
        const b0 = b[q + j0];
        const b1 = b[q + j1];
        const b2 = b[q + j2];
        const b3 = b[q + j3];
        const a0 = a[p0++];
        s00 += a0 * b0; s01 += a0 * b1; s02 += a0 * b2; s03 += a0 * b3;
        const a1 = a[p1++];
        s10 += a1 * b0; s11 += a1 * b1; s12 += a1 * b2; s13 += a1 * b3;
        const a2 = a[p2++];
        s20 += a2 * b0; s21 += a2 * b1; s22 += a2 * b2; s23 += a2 * b3;
        const a3 = a[p3++];
        s30 += a3 * b0; s31 += a3 * b1; s32 += a3 * b2; s33 += a3 * b3;
      }
      const r0 = atC + i0 * m;
      const r1 = atC + i1 * m;
      const r2 = atC + i2 * m;
      const r3 = atC + i3 * m;
      c[r0 + j0] = s00; c[r0 + j1] = s01; c[r0 + j2] = s02; c[r0 + j3] = s03;
      c[r1 + j0] = s10; c[r1 + j1] = s11; c[r1 + j2] = s12; c[r1 + j3] = s13;
      c[r2 + j0] = s20; c[r2 + j1] = s21; c[r2 + j2] = s22; c[r2 + j3] = s23;
      c[r3 + j0] = s30; c[r3 + j1] = s31; c[r3 + j2] = s32; c[r3 + j3] = s33;
    }
  }
};

/** For integers, modulo 2³². */
const integerProduct: Product = (c, atC, a, atA, b, atB, n, k, m) => {
  for (let i = 0; i < n; i++) {
    for (let p = 0; p < k; p++) {
      const factor = a[atA + i * k + p];
      for (let j = 0; j < m; j++) c[atC + i * m + j] += Math.imul(factor, b[atB + p * m + j]);
    }
  }
};

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
