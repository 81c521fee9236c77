import { type Atom, type Equation, sizeOf, type Var } from "@fmmformer/autodiff/extend";
import type { Builder } from "./builder.ts";
import type { Word } from "./plan.ts";
import type { Rule } from "./rules.ts";
import type { Uses } from "./uses.ts";
import { broadcast, bytesOf, filled, joined, type View } from "./view.ts";

/** Fewer rows than this do not pay for packing B. */
const packFrom = 48;

/**
 * Matrix products: transposed operands are read as they lie, and what a layer does next (add a bias, add what went around it) is done while
 * the result is written.
 */
export const lowerMatmul: Rule = (b, equation, uses) => {
  const {
    ins: [x, y],
    outs: [out],
  } = equation;
  const [n, m] = out.shape.slice(-2);
  const k = x.shape[x.shape.length - 1];
  const float32 = out.dtype === "float32";
  const size = bytesOf[out.dtype];
  const lead = out.shape.slice(0, -2);
  if (k === 0) return b.define(out, filled(0, out.shape, out.dtype));
  const { tip, bias, residual } = float32 ? epilogueOf(equation, uses, b) : { tip: out, bias: null, residual: null };
  const to = b.create(out);

  let left = matrix(b, broadcast(b.view(x), [...lead, n, k]));
  let right = matrix(b, broadcast(b.view(y), [...lead, k, m]));
  let batch = batchAxes(lead, [left, right, to]);
  if (batch.sizes.length > 3) {
    [left, right] = [b.contiguous(left), b.contiguous(right)];
    batch = batchAxes(lead, [left, right, to]);
  }
  const strides = (walk: readonly number[]): number[] => {
    const bytes = walk.map((s) => s * size);
    return [...new Array<number>(3 - bytes.length).fill(0), ...bytes];
  };
  const sizes = [...new Array<number>(3 - batch.sizes.length).fill(1), ...batch.sizes];
  const [rowA, columnA] = left.strides.slice(-2).map((s) => s * size);
  const [rowB, columnB] = right.strides.slice(-2).map((s) => s * size);
  const [ofA, ofB, ofC] = batch.strides.map(strides);
  const flop = 2 * sizeOf(out.shape) * k;
  const label = `matmul ${columnA === size || k === 1 ? "N" : "T"}${columnB === size || m === 1 ? "N" : "T"}`;
  const finish = (): void => {
    b.define(out, to);
    if (tip !== out) b.reshape(out, tip);
  };
  const words = (
    B: Word,
    fromRow: number,
    fromPanel: number,
    batchesB: readonly number[],
    unit: readonly number[],
  ): Word[] => [
    b.address(left),
    B,
    b.address(to),
    n,
    k,
    m,
    rowA,
    columnA,
    fromRow,
    fromPanel,
    m * size,
    ...sizes,
    ...ofA,
    ...batchesB,
    ...ofC,
    bias ? b.address(b.contiguous(bias)) : 0,
    residual ? b.address(b.contiguous(residual)) : 0,
    ...unit,
  ];

  if (!float32) {
    const kernel = out.dtype === "float64" ? "matmul_float64" : "matmul_int32";
    b.emit({ kernel, words: words(b.address(right), rowB, columnB, ofB, [0, 0]), label, flop }, [to]);
    return finish();
  }
  if (m === 1 && columnA === 4 && (rowB === 4 || k === 1) && batch.sizes.length <= 1) {
    const first = ([, , s]: readonly number[]): number[] => [s, 0, 0];
    const all = words(b.address(right), rowB, columnB, first(ofB), [0, 0]);
    all.splice(11, 6, sizes[2], 1, 1, ...first(ofA));
    all.splice(20, 3, ...first(ofC));
    b.emit({ kernel: "matmulVector", words: all, label, flop }, [to]);
    return finish();
  }
  const rowsOfUnit = n * sizeOf(lead) >= 1024 ? 64 : n >= 128 ? 32 : 16;
  const unit = [rowsOfUnit, n * sizeOf(lead) >= 1024 ? Math.ceil(m / 8) * 8 : 64];
  const batchesB = new Set(ofB).size === 1 && ofB[0] === 0 ? 1 : sizeOf(lead);
  if (columnB !== 4 || n >= packFrom) {
    // One batch of panels for each matrix B that there is.
    const whole = batchesB === 1 ? right : isBatched(right, lead) ? right : b.contiguous(right);
    const panels = { buffer: b.buffer(batchesB * Math.ceil(m / 8) * k * 32), offset: 0 };
    const [row, column] = whole.strides.slice(-2).map((s) => s * 4);
    const step = batchesB === 1 ? 0 : whole.strides.length > 2 ? joinedLead(whole, lead) * 4 : 0;
    b.emit(
      {
        kernel: "matmulPack",
        words: [b.address(whole), panels, k, m, row, column, batchesB, step],
        label: "matmul (pack)",
      },
      [],
    );
    const panelBytes = Math.ceil(m / 8) * k * 32;
    const packed = batchesB === 1 ? [0, 0, 0] : packedStrides(sizes, panelBytes);
    b.emit({ kernel: "matmul", words: words(panels, 32, k * 32, packed, unit), label, scratch: 128, flop }, [to]);
  } else {
    b.emit({ kernel: "matmul", words: words(b.address(right), rowB, 32, ofB, unit), label, scratch: 128, flop }, [to]);
  }
  finish();
};

/** A view that the kernels read: no step back, one of the last two axes contiguous, and both going somewhere. */
function matrix(b: Builder, x: View): View {
  const [n, m] = x.shape.slice(-2);
  let [row, column] = x.strides.slice(-2);
  // An axis of one element may have any stride.
  if (n === 1) row = column === 1 || m === 1 ? m : 1;
  if (m === 1) column = row === 1 ? n : 1;
  const strides = [...x.strides.slice(0, -2), row, column];
  const good = row > 0 && column > 0 && (row === 1 || column === 1) && strides.every((s) => s >= 0);
  return good && typeof x.source !== "number" ? { ...x, strides } : b.contiguous(x);
}

function batchAxes(lead: readonly number[], views: readonly View[]): ReturnType<typeof joined> {
  const found = joined(
    lead,
    views.map((x) => x.strides.slice(0, -2)),
  );
  return found.sizes.length === 1 && found.sizes[0] === 1 ? { sizes: [], strides: views.map(() => []) } : found;
}

/** Whether the batch axes of a view are one axis. */
function isBatched(x: View, lead: readonly number[]): boolean {
  return joined(lead, [x.strides.slice(0, -2)]).sizes.length <= 1;
}

function joinedLead(x: View, lead: readonly number[]): number {
  return joined(lead, [x.strides.slice(0, -2)]).strides[0][0];
}

function packedStrides([, b1, b2]: readonly number[], bytes: number): number[] {
  return [b1 * b2 * bytes, b2 * bytes, bytes];
}

/** Additions right behind a product, each of which reads nothing but the one before and something that is there already. */
function epilogueOf(
  equation: Equation,
  uses: Uses,
  b: Builder,
): { readonly tip: Var; readonly bias: Atom | null; readonly residual: Atom | null } {
  let tip = equation.outs[0];
  let bias: Atom | null = null;
  let residual: Atom | null = null;
  const m = tip.shape[tip.shape.length - 1];
  const passed: Equation[] = [];
  for (let at: Var = tip; ; ) {
    const next = uses.sole(at);
    if (!next) break;
    const [y] = next.outs;
    passed.push(next);
    if (next.prim.name === "reshape" && y.shape[y.shape.length - 1] === m) {
      at = y;
      continue;
    }
    if (next.prim.name !== "add" || y.dtype !== "float32" || sizeOf(y.shape) !== sizeOf(tip.shape)) break;
    const other = next.ins[0] === at ? next.ins[1] : next.ins[0];
    if (other === at || !uses.ready(other, equation)) break;
    if (!bias && sizeOf(other.shape) === m && other.shape[other.shape.length - 1] === m && sizeOf(y.shape) !== m)
      bias = other;
    else if (!residual && sizeOf(other.shape) === sizeOf(y.shape)) residual = other;
    else break;
    at = y;
    tip = y;
    for (const done of passed.splice(0)) b.done.add(done);
  }
  return { tip, bias, residual };
}
