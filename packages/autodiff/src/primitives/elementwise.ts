// biome-ignore-all format: the table of ops has one line an op
import { apply, definePrimitive, type Primitive } from "../bind.ts";
import { type Data, type DType, isFloat, promote } from "../dtype.ts";
import { broadcastShapes, broadcastStrides, sizeOf } from "../shape.ts";
import { type Aval, asTensor, Dense, type Scalar, type Tensor, zerosLike } from "../tensor.ts";
import { alignRanks, sumTo } from "./broadcast.ts";
import { cast } from "./cast.ts";
import { erfOf } from "./erf.ts";

// One entry an op: how to fill a run of results, and what a cotangent becomes. A run steps through flat storage, so that
// broadcasting is a step of 0 and an op's loop is written once.

/** An op on one value, with the primitive behind it. */
export type UnaryOp = ((x: Scalar) => Tensor) & { readonly primitive: Primitive<null> };
/** An op on two values that broadcast, with the primitive behind it. */
export type BinaryOp = ((x: Scalar, y: Scalar) => Tensor) & { readonly primitive: Primitive<null> };

type UnaryLoop = (y: Data, x: Data) => void;
type BinaryLoop = (
  z: Data,
  k: number,
  end: number,
  x: Data,
  i: number,
  di: number,
  y: Data,
  j: number,
  dj: number,
) => void;

interface Kind {
  /** Integers stay integers; without it they become float32 first. */
  readonly integers?: boolean;
  /** The dtype of the result, where it is not that of the operands. */
  readonly result?: DType;
}

function unary(
  name: string,
  loop: UnaryLoop,
  vjp: (g: Tensor, x: Tensor, y: Tensor) => Tensor,
  kind: Kind = {},
): UnaryOp {
  const primitive: Primitive<null> = definePrimitive<null>({
    name,
    shape: ([x]) => ({ shape: x.shape, dtype: x.dtype, weak: x.weak }),
    value: (out, [x]) => loop(out, x.data),
    vjp: (g, [x], y) => [() => vjp(g, x, y)],
    batch: (_, [x]) => apply(primitive, [x], null),
  });
  const op = (x: Scalar): Tensor => apply(primitive, [numeric(asTensor(name, x), kind)], null);
  return Object.assign(op, { primitive });
}

function binary(
  name: string,
  loop: BinaryLoop,
  vjp: ((g: Tensor, x: Tensor, y: Tensor, z: Tensor) => readonly [() => Tensor, () => Tensor]) | null,
  kind: Kind = { integers: true },
): BinaryOp {
  const primitive: Primitive<null> = definePrimitive<null>({
    name,
    shape: ([x, y]) => ({
      shape: broadcastShapes(name, x.shape, y.shape),
      dtype: kind.result ?? x.dtype,
      weak: x.weak && y.weak && !kind.result,
    }),
    value(out, [x, y], _, { shape }) {
      const [a, b] = [storageOf(x), storageOf(y)];
      eachRun(shape, [stridesFor(x, shape), stridesFor(y, shape)], (k, end, starts, steps) =>
        loop(out, k, end, a, starts[0], steps[0], b, starts[1], steps[1]),
      );
    },
    ...(vjp && {
      vjp(g, [x, y], z) {
        const [dx, dy] = vjp(g, x, y, z);
        return [() => sumTo(dx(), x.shape), () => sumTo(dy(), y.shape)];
      },
    }),
    batch: (_, args, batched) => apply(primitive, alignRanks(args, batched), null),
  });
  const op = (x: Scalar, y: Scalar): Tensor =>
    apply(
      primitive,
      promoteOperands(name, x, y).map((t) => (kind.result ? t : numeric(t, kind))),
      null,
    );
  return Object.assign(op, { primitive });
}

function numeric(x: Tensor, kind: Kind): Tensor {
  if (isFloat(x.dtype)) return x;
  return cast(x, kind.integers ? "int32" : "float32");
}

// A tensor filled with one number is read through one cell and steps of 0.
function storageOf(x: Dense): Data {
  return x.fill === undefined ? x.data : new Dense({ shape: [], dtype: x.dtype, weak: x.weak }, x.fill).data;
}

function stridesFor(x: Dense, shape: readonly number[]): readonly number[] {
  return x.fill === undefined ? broadcastStrides(x.shape, shape) : shape.map(() => 0);
}

/** Call `run` with a range of results and the start and step of each operand, for ranges as long as the strides allow. */
function eachRun(
  shape: readonly number[],
  strides: readonly (readonly number[])[],
  run: (from: number, end: number, starts: readonly number[], steps: readonly number[]) => void,
): void {
  const axes = shape.map((_, axis) => axis).filter((axis) => shape[axis] !== 1);
  const last = axes[axes.length - 1] ?? 0;
  const steps = strides.map((s) => s[last] ?? 0);
  // Join inner axes while every operand walks them as one.
  let length = 1;
  while (axes.length > 0 && strides.every((s, i) => s[axes[axes.length - 1]] === steps[i] * length)) {
    length *= shape[axes.pop() as number];
  }
  const starts = strides.map(() => 0);
  const index = axes.map(() => 0);
  const total = sizeOf(shape);
  for (let k = 0; k < total; k += length) {
    run(k, k + length, starts, steps);
    for (let d = axes.length - 1; d >= 0; d--) {
      const n = shape[axes[d]];
      const wrap = ++index[d] === n;
      if (wrap) index[d] = 0;
      for (let s = 0; s < strides.length; s++) starts[s] += strides[s][axes[d]] * (wrap ? 1 - n : 1);
      if (!wrap) break;
    }
  }
}

/**
 * Two operands in one dtype, the larger of theirs. A number takes the dtype of its partner, but float32 beside integers
 * unless it is whole; two numbers stay weak.
 */
export function promoteOperands(op: string, x: Scalar, y: Scalar): readonly [Tensor, Tensor] {
  const [a, b] = [withPartner(op, x, y), withPartner(op, y, x)];
  if (a.weak && b.weak) return [a, b];
  const dtype = a.weak ? strong(b) : b.weak ? strong(a) : promote(a.dtype, b.dtype);
  return [cast(a, dtype), cast(b, dtype)];
}

function withPartner(op: string, x: Scalar, partner: Scalar): Tensor {
  const whole = typeof x === "number" && Number.isInteger(x) && Math.abs(x) < 2 ** 31;
  if (whole && typeof partner !== "number" && !isFloat(asTensor(op, partner).dtype)) {
    return new Dense({ shape: [], dtype: "int32", weak: false }, x);
  }
  return asTensor(op, x);
}

function strong({ dtype }: Aval): DType {
  return isFloat(dtype) ? dtype : "float32";
}

const zero = (g: Tensor): Tensor => zerosLike(g);
const integers: Kind = { integers: true };

// ——— one value ———

/** −x. */
export const neg: UnaryOp = unary("neg", (y, x) => { for (let i = 0; i < y.length; i++) y[i] = -x[i]; }, (g) => neg(g), integers);
/** e^x. */
export const exp: UnaryOp = unary("exp", (y, x) => { for (let i = 0; i < y.length; i++) y[i] = Math.exp(x[i]); }, (g, _, y) => mul(g, y));
/** Natural logarithm: −∞ at 0, NaN below. */
export const log: UnaryOp = unary("log", (y, x) => { for (let i = 0; i < y.length; i++) y[i] = Math.log(x[i]); }, (g, x) => div(g, x));
/** ln(1 + x), accurate near 0. */
export const log1p: UnaryOp = unary("log1p", (y, x) => { for (let i = 0; i < y.length; i++) y[i] = Math.log1p(x[i]); }, (g, x) => div(g, add(x, 1)));
/** e^x − 1, accurate near 0. */
export const expm1: UnaryOp = unary("expm1", (y, x) => { for (let i = 0; i < y.length; i++) y[i] = Math.expm1(x[i]); }, (g, _, y) => mul(g, add(y, 1)));
/** √x, NaN below 0. */
export const sqrt: UnaryOp = unary("sqrt", (y, x) => { for (let i = 0; i < y.length; i++) y[i] = Math.sqrt(x[i]); }, (g, _, y) => div(mul(g, 0.5), y));
export const tanh: UnaryOp = unary("tanh", (y, x) => { for (let i = 0; i < y.length; i++) y[i] = Math.tanh(x[i]); }, (g, _, y) => mul(g, sub(1, mul(y, y))));
/** 1 / (1 + e^{−x}). */
export const sigmoid: UnaryOp = unary("sigmoid", (y, x) => { for (let i = 0; i < y.length; i++) y[i] = logistic(x[i]); }, (g, _, y) => mul(g, mul(y, sub(1, y))));
/** ln(1 + e^x), without overflow. */
export const softplus: UnaryOp = unary("softplus", (y, x) => { for (let i = 0; i < y.length; i++) y[i] = Math.max(x[i], 0) + Math.log1p(Math.exp(-Math.abs(x[i]))); }, (g, x) => mul(g, sigmoid(x)));
/** The error function, 2/√π ∫₀ˣ e^{−t²} dt. */
export const erf: UnaryOp = unary("erf", (y, x) => { for (let i = 0; i < y.length; i++) y[i] = erfOf(x[i]); }, (g, x) => mul(g, mul(2 / Math.sqrt(Math.PI), exp(neg(mul(x, x))))));
export const sin: UnaryOp = unary("sin", (y, x) => { for (let i = 0; i < y.length; i++) y[i] = Math.sin(x[i]); }, (g, x) => mul(g, cos(x)));
export const cos: UnaryOp = unary("cos", (y, x) => { for (let i = 0; i < y.length; i++) y[i] = Math.cos(x[i]); }, (g, x) => neg(mul(g, sin(x))));
/** |x|; its derivative at 0 is taken as 0. */
export const abs: UnaryOp = unary("abs", (y, x) => { for (let i = 0; i < y.length; i++) y[i] = Math.abs(x[i]); }, (g, x) => mul(g, sign(x)), integers);
/** −1, 0 or 1. */
export const sign: UnaryOp = unary("sign", (y, x) => { for (let i = 0; i < y.length; i++) y[i] = Math.sign(x[i]); }, zero, integers);
/** The largest whole number ≤ x. */
export const floor: UnaryOp = unary("floor", (y, x) => { for (let i = 0; i < y.length; i++) y[i] = Math.floor(x[i]); }, zero, integers);

function logistic(x: number): number {
  const e = Math.exp(-Math.abs(x));
  return (x < 0 ? e : 1) / (1 + e);
}

// ——— two values ———

export const add: BinaryOp = binary("add", (z, k, end, x, i, di, y, j, dj) => { for (; k < end; k++, i += di, j += dj) z[k] = x[i] + y[j]; }, (g) => [() => g, () => g]);
export const sub: BinaryOp = binary("sub", (z, k, end, x, i, di, y, j, dj) => { for (; k < end; k++, i += di, j += dj) z[k] = x[i] - y[j]; }, (g) => [() => g, () => neg(g)]);
export const mul: BinaryOp = binary("mul", multiply, (g, x, y) => [() => mul(g, y), () => mul(g, x)]);
/** x / y; two integers give float32. */
export const div: BinaryOp = binary("div", (z, k, end, x, i, di, y, j, dj) => { for (; k < end; k++, i += di, j += dj) z[k] = x[i] / y[j]; }, (g, _, y, z) => [() => div(g, y), () => neg(div(mul(g, z), y))], {});
/** x^y; integers give float32. The cotangent of y is taken as 0 where x ≤ 0 and the logarithm is not defined. */
export const pow: BinaryOp = binary("pow", (z, k, end, x, i, di, y, j, dj) => { for (; k < end; k++, i += di, j += dj) z[k] = x[i] ** y[j]; }, (g, x, y, z) => [
  () => mul(g, mul(y, pow(x, where(logicalAnd(equal(x, 0), equal(y, 0)), 1, sub(y, 1))))),
  () => mul(g, where(greater(x, 0), mul(z, log(where(greater(x, 0), x, 1))), 0)),
], {});
/** The larger; NaN if either is. Where they are equal each gets half of the cotangent. */
export const maximum: BinaryOp = binary("maximum", (z, k, end, x, i, di, y, j, dj) => { for (; k < end; k++, i += di, j += dj) z[k] = Math.max(x[i], y[j]); }, (g, x, y) => [() => mul(g, share(x, y)), () => mul(g, share(y, x))]);
/** The smaller; NaN if either is. Where they are equal each gets half of the cotangent. */
export const minimum: BinaryOp = binary("minimum", (z, k, end, x, i, di, y, j, dj) => { for (; k < end; k++, i += di, j += dj) z[k] = Math.min(x[i], y[j]); }, (g, x, y) => [() => mul(g, share(y, x)), () => mul(g, share(x, y))]);
/** x − y ⌊x/y⌋: the remainder with the sign of y, NaN (0 for integers) where y is 0. */
export const mod: BinaryOp = binary("mod", (z, k, end, x, i, di, y, j, dj) => { for (; k < end; k++, i += di, j += dj) z[k] = y[j] === 0 ? NaN : x[i] - y[j] * Math.floor(x[i] / y[j]); }, (g, x, y) => [() => g, () => neg(mul(g, floor(div(x, y))))]);

// A product of integers may have more digits than a double holds.
function multiply(z: Data, k: number, end: number, x: Data, i: number, di: number, y: Data, j: number, dj: number): void {
  if (z instanceof Int32Array) for (; k < end; k++, i += di, j += dj) z[k] = Math.imul(x[i], y[j]);
  else for (; k < end; k++, i += di, j += dj) z[k] = x[i] * y[j];
}

/** 1 where a wins, 1/2 at a tie, 0 where b does. */
function share(a: Tensor, b: Tensor): Tensor {
  return where(equal(a, b), 0.5, cast(greater(a, b), a.dtype));
}

// ——— comparisons, which give bool ———

const truth: Kind = { result: "bool" };
export const equal: BinaryOp = binary("equal", (z, k, end, x, i, di, y, j, dj) => { for (; k < end; k++, i += di, j += dj) z[k] = x[i] === y[j] ? 1 : 0; }, null, truth);
export const less: BinaryOp = binary("less", (z, k, end, x, i, di, y, j, dj) => { for (; k < end; k++, i += di, j += dj) z[k] = x[i] < y[j] ? 1 : 0; }, null, truth);
export const lessEqual: BinaryOp = binary("lessEqual", (z, k, end, x, i, di, y, j, dj) => { for (; k < end; k++, i += di, j += dj) z[k] = x[i] <= y[j] ? 1 : 0; }, null, truth);
export const greater = (x: Scalar, y: Scalar): Tensor => less(y, x);
export const greaterEqual = (x: Scalar, y: Scalar): Tensor => lessEqual(y, x);
export const notEqual = (x: Scalar, y: Scalar): Tensor => logicalNot(equal(x, y));
export const logicalNot = (x: Scalar): Tensor => equal(x, 0);
export const logicalAnd = (x: Scalar, y: Scalar): Tensor => cast(mul(cast(cast(x, "bool"), "int32"), cast(y, "bool")), "bool");
export const logicalOr = (x: Scalar, y: Scalar): Tensor => cast(add(cast(cast(x, "bool"), "int32"), cast(y, "bool")), "bool");

// ——— choice ———

function choose(z: Data, k: number, end: number, c: Data, x: Data, y: Data, starts: readonly number[], steps: readonly number[]): void {
  const dh = steps[0];
  const di = steps[1];
  const dj = steps[2];
  for (let h = starts[0], i = starts[1], j = starts[2]; k < end; k++, h += dh, i += di, j += dj) z[k] = c[h] !== 0 ? x[i] : y[j];
}

export const wherePrimitive: Primitive<null> = definePrimitive<null>({
  name: "where",
  shape: ([c, x, y]) => ({
    shape: broadcastShapes("where", c.shape, broadcastShapes("where", x.shape, y.shape)),
    dtype: x.dtype,
    weak: x.weak && y.weak,
  }),
  value(out, args, _, { shape }) {
    const [c, x, y] = args.map(storageOf);
    const strides = args.map((t) => stridesFor(t, shape));
    eachRun(shape, strides, (from, end, starts, steps) => choose(out, from, end, c, x, y, starts, steps));
  },
  vjp: (g, [c, x, y]) => [null, () => sumTo(where(c, g, 0), x.shape), () => sumTo(where(c, 0, g), y.shape)],
  batch: (_, args, batched) => apply(wherePrimitive, alignRanks(args, batched), null),
});

/** x where the condition is true (or not 0), y elsewhere; what is not chosen has no effect, NaN included. Broadcasts. */
export function where(condition: Scalar, x: Scalar, y: Scalar): Tensor {
  const [a, b] = promoteOperands("where", x, y);
  const both = a.weak && b.weak ? [cast(a, "float32"), cast(b, "float32")] : [a, b];
  return apply(wherePrimitive, [cast(condition, "bool"), ...both], null);
}
