import type { DType } from "@fmmformer/autodiff";
import { type Atom, type Equation, noSuchRow, sizeOf, type Var } from "@fmmformer/autodiff/extend";
import type { ChainFunction, KernelName } from "./binary/names.ts";
import type { Builder } from "./builder.ts";
import { lowerMatmul } from "./matmul.ts";
import { lowerCausalProduct } from "./ops/causal-product.ts";
import type { Place } from "./plan.ts";
import type { Rule } from "./rule.ts";
import { lowerScan } from "./scan.ts";
import { broadcast, bytesOf, filled, type View, window } from "./view.ts";

const unary = [
  "neg",
  "exp",
  "log",
  "log1p",
  "expm1",
  "sqrt",
  "tanh",
  "sigmoid",
  "softplus",
  "erf",
  "sin",
  "cos",
  "abs",
  "sign",
  "floor",
];
const binary = ["add", "sub", "mul", "div", "pow", "maximum", "minimum", "mod", "equal", "less", "lessEqual"];

/** The dtype that a value has in registers. */
const inTiles: Readonly<Record<DType, string>> = {
  float32: "float32",
  float64: "float64",
  int32: "int32",
  bool: "int32",
};

const elementwise: Rule = (b, { prim, ins, outs }) => {
  const operand = ins[prim.name === "where" ? 1 : 0];
  b.elementwise(`${prim.name}_${inTiles[operand.dtype]}` as ChainFunction, ins, outs[0]);
};

/** The rule of each primitive. */
export const rules: Readonly<Record<string, Rule>> = {
  ...Object.fromEntries([...unary, ...binary, "where"].map((name) => [name, elementwise])),
  cast(b, { ins: [x], outs: [y] }) {
    const [from, to] = [inTiles[x.dtype], y.dtype];
    if (from === inTiles[to] && (to !== "bool" || x.dtype === "bool")) {
      return b.elementwise(bytesOf[to] === 8 ? "copy_8" : "copy_4", [x], y);
    }
    b.elementwise(`${to}_${from}` as ChainFunction, [x], y);
  },
  stopGradient: (b, { ins: [x], outs: [y] }) => b.reshape(x, y),
  reshape: (b, { ins: [x], outs: [y] }) => b.reshape(x, y),
  transpose: (b, { ins: [x], outs: [y], params }) => b.transpose(x, (params as { axes: readonly number[] }).axes, y),
  broadcast: (b, { ins: [x], outs: [y] }) => b.define(y, broadcast(b.view(x), y.shape)),
  slice(b, { ins: [x], outs: [y], params }) {
    const { starts, strides } = params as { starts: readonly number[]; strides: readonly number[] };
    b.define(y, window(b.view(x), y.shape, starts, strides));
  },
  flip(b, { ins: [x], outs: [y], params }) {
    const { axis } = params as { axis: number };
    const mirrored = (here: number, there: number): number[] => y.shape.map((_, a) => (a === axis ? here : there));
    b.define(y, window(b.view(x), y.shape, mirrored(y.shape[axis] - 1, 0), mirrored(-1, 1)));
  },
  pad(b, { ins: [x], outs: [y], params }) {
    const { low, interior, value } = params as { low: readonly number[]; interior: readonly number[]; value: number };
    const to = b.create(y);
    b.copy(filled(value, y.shape, y.dtype), to);
    b.copy(
      b.view(x),
      window(
        to,
        x.shape,
        low,
        interior.map((n) => n + 1),
      ),
    );
    b.define(y, to);
  },
  concat(b, { ins, outs: [y], params }) {
    const { axis } = params as { axis: number };
    const to = b.create(y);
    let at = 0;
    for (const x of ins) {
      const starts = y.shape.map((_, a) => (a === axis ? at : 0));
      b.copy(
        b.view(x),
        window(
          to,
          x.shape,
          starts,
          y.shape.map(() => 1),
        ),
      );
      at += x.shape[axis];
    }
    b.define(y, to);
  },
  sum: (b, { ins: [x], outs: [y], params }) => b.reduce("sum", x, (params as { axes: readonly number[] }).axes, y),
  max: (b, { ins: [x], outs: [y], params }) => b.reduce("max", x, (params as { axes: readonly number[] }).axes, y),
  argmax: alongAxis("argmax", () => []),
  argsort: alongAxis("argsort", (b, { outs: [y] }) => [b.address(b.create(y))]),
  cumsum: alongAxis("cumsum", (_, { params }) => [Number((params as { reverse: boolean }).reverse)]),
  matmul: lowerMatmul,
  triangularSolve(b, { ins: [a, x], outs: [y], params }) {
    const { lower, transpose, unit } = params as { lower: boolean; transpose: boolean; unit: boolean };
    const [n, m] = y.shape.slice(-2);
    const words = [sizeOf(y.shape.slice(0, -2)), n, m, Number(lower), Number(transpose), Number(unit)];
    step(b, typed("triangularSolve", y), [a, x], [y], words, { scratch: 8 * n, flop: sizeOf(y.shape) * n });
  },
  gather(b, { ins: [x, indices], outs: [y] }) {
    const width = sizeOf(x.shape.slice(1));
    const error = b.error((row, rows) => noSuchRow("take", row, rows));
    const words = [x.shape[0], sizeOf(indices.shape), width * bytesOf[x.dtype], error];
    step(b, "gather", [x, indices], [y], words, {});
  },
  scatterAdd(b, { ins: [x, indices, updates], outs: [y] }) {
    const width = sizeOf(x.shape.slice(1));
    const sums = b.space(sizeOf(y.shape) * (y.dtype === "int32" ? 4 : 8));
    const error = b.error((row, rows) => noSuchRow("scatterAdd", row, rows));
    const words = [x.shape[0], sizeOf(indices.shape), width, sums, error];
    step(b, typed("scatterAdd", y), [x, indices, updates], [y], words, { flop: sizeOf(updates.shape) });
  },
  randomBits(b, { ins: [key, stream], outs: [y], params }) {
    const { shape, bits } = params as { shape: readonly number[]; bits: number };
    step(b, "randomBits", [key, stream], [y], [sizeOf(stream.shape), sizeOf(shape), bits], { scratch: 256 });
  },
  bandDot: bandProduct("bandDot", 0),
  bandMatmul: bandProduct("bandMatmul", 1),
  bandTranspose(b, { ins: [band], outs: [y], params }) {
    const { left, right } = params as { left: number; right: number };
    const [n, slots] = y.shape.slice(-2);
    const [from, to] = [b.contiguous(band), b.create(y)];
    const words = [b.address(from), 0, b.address(to), sizeOf(y.shape) / (n * slots), n, slots, left, right];
    b.emit({ kernel: typed("bandTranspose", y), words, label: "bandTranspose" }, [to]);
    b.define(y, to);
  },
  causalProduct: lowerCausalProduct,
  scan: lowerScan,
};

/** A kernel on contiguous operands that makes contiguous results: their addresses, then `words`. */
function step(
  b: Builder,
  kernel: KernelName,
  ins: readonly (Atom | View)[],
  outs: readonly Var[],
  words: readonly (number | Place)[],
  costs: { readonly scratch?: number; readonly flop?: number },
): void {
  const results = outs.map((y) => b.create(y));
  outs.forEach((y, i) => {
    b.define(y, results[i]);
  });
  if (results.every((y) => sizeOf(y.shape) === 0)) return;
  const addresses = [...ins.map((x) => b.address(b.contiguous(x))), ...results.map(b.address)];
  b.emit({ kernel, words: [...addresses, ...words], label: kernel.replace(/_.*/, ""), ...costs }, results);
}

function typed(
  name: "triangularSolve" | "scatterAdd" | "bandDot" | "bandMatmul" | "bandTranspose",
  { dtype }: Var,
): KernelName {
  return `${name}_${inTiles[dtype]}` as KernelName;
}

function alongAxis(
  name: "argmax" | "argsort" | "cumsum",
  more: (b: Builder, equation: Equation) => readonly (number | Place)[],
): Rule {
  return (b, equation) => {
    const {
      ins: [x],
      outs,
      params,
    } = equation;
    const { axis } = params as { axis: number };
    const n = x.shape[axis];
    const inner = sizeOf(x.shape.slice(axis + 1));
    const words = [sizeOf(x.shape) / (n * inner || 1), n, inner, ...more(b, equation)];
    step(b, `${name}_${inTiles[x.dtype]}` as KernelName, [b.widened(x)], outs, words, {});
  };
}

function bandProduct(name: "bandDot" | "bandMatmul", of: 0 | 1): Rule {
  return (b, { ins, outs, params }) => {
    const { left, right } = params as { left: number; right: number };
    const [n, width] = ins[of].shape.slice(-2);
    const z = sizeOf(ins[of].shape.slice(0, -2));
    const flop = 2 * z * n * width * (left + right + 1);
    step(b, typed(name, outs[0]), ins, outs, [z, n, width, left, right], { flop });
  };
}
