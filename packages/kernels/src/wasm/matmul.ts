import { type Atom, type Equation, sizeOf, type Var } from "@fmmformer/autodiff/extend";
import type { Builder } from "./builder.ts";
import type { Rule } from "./rule.ts";
import type { Uses } from "./uses.ts";
import { broadcast, bytesOf, filled, joined, type View } from "./view.ts";

const kernels = { float32: "matmul", float64: "matmul64", int32: "matmulInt", bool: "matmulInt" } as const;
/** Packed panels, and a tile at the edge: see assembly/matmul.ts. */
const scratchBytes = { float32: 82_176, float64: 8_320, int32: 8_320, bool: 8_320 } as const;

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
  const lead = out.shape.slice(0, -2);
  if (k === 0) return b.define(out, filled(0, out.shape, out.dtype));
  const { tip, bias, residual } = epilogueOf(equation, uses, b);
  const to = b.create(out);
  const left = matrix(b, broadcast(b.view(x), [...lead, n, k]));
  const right = matrix(b, broadcast(b.view(y), [...lead, k, m]));
  const parts = tip === out && out.dtype === "float32" ? partsOf(sizeOf(lead) * Math.ceil(n / 64), k) : 1;
  if (parts === 1) multiply(b, left, right, to, { bias, residual });
  else {
    const sums = b.create({ shape: [...lead, parts, n, m], dtype: out.dtype });
    multiply(b, cut(left, parts, 1), cut(right, parts, 0), sums, {});
    const words = [b.address(sums), b.address(to), sizeOf(lead), parts, n * m, 0];
    b.emit({ kernel: "combine", words, label: "matmul (parts)" }, [to]);
  }
  b.define(out, to);
  if (tip !== out) b.reshape(out, tip);
};

/** Into how many parts k is cut where there is little else to share out: sums of parts then do not depend on who makes them. */
function partsOf(units: number, k: number): number {
  for (let parts = Math.ceil(8 / units); units < 8 && parts <= 16; parts++) {
    if (k % parts === 0 && k / parts >= 256) return parts;
  }
  return 1;
}

/** An operand whose last axis but one (0) or last axis (1) is k, cut into parts: they are the innermost batch axis. */
function cut(x: View, parts: number, which: 0 | 1): View {
  const lead = x.shape.length - 2;
  const k = x.shape[lead + which] / parts;
  const insert = (list: readonly number[], stride: number): number[] => [
    ...list.slice(0, lead),
    stride,
    ...list.slice(lead),
  ];
  const shape = insert(x.shape, parts);
  shape[lead + 1 + which] = k;
  return { ...x, shape, strides: insert(x.strides, k * x.strides[lead + which]) };
}

function multiply(
  b: Builder,
  x: View,
  y: View,
  to: View,
  { bias, residual }: { readonly bias?: Atom | null; readonly residual?: Atom | null },
): void {
  const lead = to.shape.slice(0, -2);
  const [n, m] = to.shape.slice(-2);
  const k = x.shape[x.shape.length - 1];
  let [left, right] = [x, y];
  let batch = batchAxes(lead, [left, right, to]);
  if (batch.sizes.length > 3) {
    [left, right] = [b.contiguous(left), b.contiguous(right)];
    batch = batchAxes(lead, [left, right, to]);
  }
  const bytes = bytesOf[to.dtype];
  const inBytes = ({ strides }: View): number[] => strides.slice(-2).map((s) => s * bytes);
  const words = [
    ...[left, right, to].map(b.address),
    ...[n, k, m],
    ...inBytes(left),
    ...inBytes(right),
    m * bytes,
    ...new Array<number>(3 - batch.sizes.length).fill(1),
    ...batch.sizes,
    ...batch.strides.flatMap((walk) => [...new Array<number>(3 - walk.length).fill(0), ...walk.map((s) => s * bytes)]),
    bias ? b.address(b.contiguous(bias)) : 0,
    residual ? b.address(b.contiguous(residual)) : 0,
    0,
  ];
  const layout = [left, right].map(({ strides }) => (strides[strides.length - 1] === 1 ? "N" : "T")).join("");
  const step = { kernel: kernels[to.dtype], words, label: `matmul ${layout}` };
  b.emit({ ...step, scratch: scratchBytes[to.dtype], flop: 2 * sizeOf(to.shape) * k }, [to]);
}

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
    if (next.prim.name !== "add" || y.dtype !== tip.dtype || sizeOf(y.shape) !== sizeOf(tip.shape)) break;
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
