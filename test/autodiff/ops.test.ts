import assert from "node:assert/strict";
import { test } from "node:test";
import * as ad from "@fmmformer/autodiff";
import {
  allClose,
  broadcastTo,
  ceil,
  checkGradients,
  clip,
  cumsum,
  dot,
  elu,
  expandDims,
  gelu,
  grad,
  iota,
  isfinite,
  isnan,
  jit,
  logSoftmax,
  logSumExp,
  max,
  mean,
  min,
  moveAxis,
  mul,
  oneHot,
  outer,
  prod,
  reciprocal,
  relu,
  repeat,
  reshape,
  round,
  rsqrt,
  type Scalar,
  ShapeError,
  silu,
  softmax,
  sort,
  split,
  square,
  squeeze,
  stack,
  std,
  sum,
  type Tensor,
  take,
  takeAlongAxis,
  tan,
  tensor,
  tile,
  tril,
  triu,
  variance,
  vmap,
  zeros,
} from "@fmmformer/autodiff";
import { agree, distinctSizes, tensors } from "@fmmformer/kernels/laws";
import fc from "fast-check";
import { elementsOf, range, tensorOf, total } from "../laws/elements.ts";

// Ops that are made of others: their values, gradients, and that they may be mapped and compiled.

const float64 = (...values: number[]): Tensor => tensor(Float64Array.from(values));
const numbered = (...shape: number[]): Tensor => reshape(iota(shape.reduce((a, b) => a * b, 1)), shape);

/** Check an op of one tensor of shape (n, m) against the elements of its definition. */
function check(
  op: (x: Tensor) => Tensor,
  definition: (row: readonly number[], j: number, x: (i: number, j: number) => number, i: number) => number,
  options: { readonly order?: number; readonly shape?: (n: number, m: number) => readonly number[] } = {},
): void {
  const { order = 2, shape = (n: number, m: number) => [n, m] } = options;
  fc.assert(
    fc.property(
      distinctSizes(["n", "m"], { min: 2 }).chain(({ n, m }) => tensors([n, m], { low: -1.9, high: 1.9 })),
      (x) => {
        const [n, m] = x.shape;
        const at = elementsOf(x) as (i: number, j: number) => number;
        const expected = tensorOf(shape(n, m), "float64", (i, j = 0) =>
          definition(
            range(m).map((k) => at(i, k)),
            j,
            at,
            i,
          ),
        );
        agree("value", op(x), expected, { tolerance: 1e-12 });
        agree("jit", jit(op)(x), op(x), { tolerance: 1e-14 });
        agree("vmap", vmap(op)(expandDims(x, 0)), expandDims(op(x), 0), { tolerance: 1e-14 });
        if (order > 0) checkGradients(op, [x], { order });
      },
    ),
    { numRuns: 10 },
  );
}

const rows = (n: number): readonly number[] => [n];

test("activations are what their formulas say, and smooth", () => {
  check(silu, (row, j) => row[j] / (1 + Math.exp(-row[j])));
  check(
    (x) => gelu(x, { approximate: true }),
    (row, j) => 0.5 * row[j] * (1 + Math.tanh(Math.sqrt(2 / Math.PI) * (row[j] + 0.044715 * row[j] ** 3))),
  );
  const steps = 2000;
  const normal = (x: number): number =>
    0.5 + (x / steps / Math.sqrt(2 * Math.PI)) * total(steps, (k) => Math.exp(-0.5 * ((x * (k + 0.5)) / steps) ** 2));
  agree("gelu", gelu(float64(-1.5, 0.3, 2)), float64(...[-1.5, 0.3, 2].map((x) => x * normal(x))), { tolerance: 1e-7 });
  checkGradients(gelu, [float64(-1.5, 0, 2)], { order: 3 });
  checkGradients(elu, [float64(-1.5, -0.2, 0.4)], { order: 3 });
  checkGradients(relu, [float64(-1.5, -0.2, 0.4)], { order: 2 });
});

test("at 0 relu has derivative 0, elu 1, abs 0, and a tie of maximum one half", () => {
  const at = (f: (x: Scalar) => Tensor): number => grad(f)(0).item();
  assert.deepEqual(
    [at(relu), at(elu), at(ad.abs), at((x) => ad.maximum(x, 0)), at((x) => ad.minimum(0, x))],
    [0, 1, 0, 0.5, 0.5],
  );
  assert.deepEqual(
    grad((x: Tensor) => max(x))(tensor([2, 1, 2, 2])).toArray(),
    [1 / 3, 0, 1 / 3, 1 / 3].map(Math.fround),
  );
  assert.deepEqual(grad((x: Tensor) => min(x))(tensor([2, 1, 1])).toArray(), [0, 0.5, 0.5]);
});

test("powers have derivatives at 0 too", () => {
  const at = (n: number, x: number, order: number): number => {
    let f = (v: Scalar): Tensor => ad.pow(v, n);
    for (let i = 0; i < order; i++) {
      const g = f;
      f = (v) => grad(g)(v as number);
    }
    return f(x).item() + 0;
  };
  assert.deepEqual(
    range(5).map((k) => at(2, 0, k)),
    [0, 0, 2, 0, 0],
  );
  assert.deepEqual(
    range(5).map((k) => at(3, -2, k)),
    [-8, 12, -12, 6, 0],
  );
  assert.deepEqual([at(0, 0, 0), at(0, 0, 1), at(1, 0, 1)], [1, 0, 1]);
  assert.equal(grad((y: Scalar) => ad.pow(0, y))(2).item(), 0);
});

test("arithmetic made of other arithmetic", () => {
  check(square, (row, j) => row[j] ** 2);
  check(
    (x) => tan(mul(x, 0.5)),
    (row, j) => Math.tan(row[j] / 2),
  );
  assert.deepEqual(reciprocal(float64(4)).toArray(), [0.25]);
  assert.deepEqual(rsqrt(float64(4)).toArray(), [0.5]);
  assert.deepEqual(clip(float64(-3, 0.5, 3), -1, 2).toArray(), [-1, 0.5, 2]);
  assert.deepEqual(ceil(float64(-1.5, 0, 1.2)).toArray(), [-1, 0, 2]);
  for (const dtype of ["float32", "float64"] as const) {
    const halves = tensor([0.5, 1.5, 2.5, 3.5, -0.5, -1.5, -2.5, 0.49, -0.51, 7], { dtype });
    agree("round", round(halves), tensor([0, 2, 2, 4, 0, -2, -2, 0, -1, 7], { dtype }));
  }
  const odd = float64(NaN, Infinity, -Infinity, 0, 1);
  assert.deepEqual(isnan(odd).toArray(), [true, false, false, false, false]);
  assert.deepEqual(isfinite(odd).toArray(), [false, false, false, true, true]);
  assert.deepEqual(
    [allClose(1, 1 + 1e-6), allClose(1, 1.001), allClose(Infinity, Infinity), allClose(NaN, NaN)],
    [true, false, true, false],
  );
});

test("softmax, its logarithm and logSumExp, along any axis", () => {
  const e = (row: readonly number[]): number => total(row.length, (k) => Math.exp(row[k]));
  check(softmax, (row, j) => Math.exp(row[j]) / e(row));
  check(logSoftmax, (row, j) => Math.log(Math.exp(row[j]) / e(row)));
  check(
    (x) => logSumExp(x, { axis: 1 }),
    (row) => Math.log(e(row)),
    { shape: rows },
  );
  check(
    (x) => moveAxis(softmax(moveAxis(x, 0, 1), { axis: 0 }), 0, 1),
    (row, j) => Math.exp(row[j]) / e(row),
  );
  assert.deepEqual(logSumExp(zeros([2, 3]), { keepDims: true }).shape, [1, 1]);
});

test("statistics over axes", () => {
  const average = (row: readonly number[]): number => total(row.length, (k) => row[k]) / row.length;
  const spread = (row: readonly number[]): number => total(row.length, (k) => (row[k] - average(row)) ** 2);
  check((x) => mean(x, { axis: 1 }), average, { shape: rows });
  check(
    (x) => variance(x, { axis: -1 }),
    (row) => spread(row) / row.length,
    { shape: rows },
  );
  check(
    (x) => variance(x, { axis: -1, correction: 1 }),
    (row) => spread(row) / (row.length - 1),
    { shape: rows },
  );
  check(
    (x) => prod(x, { axis: 1 }),
    (row) => row.reduce((a, b) => a * b, 1),
    { shape: rows },
  );
  check(
    (x) => sum(mul(x, x), { axis: 1 }),
    (row) => total(row.length, (k) => row[k] ** 2),
    { shape: rows },
  );
  assert.equal(std(float64(1, 3)).item(), 1);
  assert.deepEqual(grad((x: Tensor) => prod(x))(float64(0, 3, 5)).toArray(), [15, 0, 0]);
  assert.deepEqual(
    [prod(zeros([0])).item(), prod(zeros([2, 0]), { axis: 1, keepDims: true }).toArray()],
    [1, [[1], [1]]],
  );
  const truths = tensor([
    [true, false],
    [true, true],
  ]);
  assert.deepEqual(
    [ad.any(truths, { axis: 1 }).toArray(), ad.all(truths, { axis: 1 }).toArray()],
    [
      [true, true],
      [false, true],
    ],
  );
  assert.deepEqual([mean(iota(4)).dtype, mean(iota(4)).item()], ["float32", 1.5]);
});

test("triangles, one-hot vectors, sorting", () => {
  check(
    (x) => tril(x),
    (row, j, _, i) => (j <= i ? row[j] : 0),
  );
  check(
    (x) => triu(x, 1),
    (row, j, _, i) => (j >= i + 1 ? row[j] : 0),
  );
  check(
    (x) => tril(x, -1),
    (row, j, _, i) => (j <= i - 1 ? row[j] : 0),
  );
  assert.deepEqual(oneHot(tensor([1, 3, -1], { dtype: "int32" }), 3).toArray(), [
    [0, 1, 0],
    [0, 0, 0],
    [0, 0, 0],
  ]);
  assert.deepEqual(sort(float64(3, NaN, -1, 2, -Infinity)).toArray(), [-Infinity, -1, 2, 3, NaN]);
  assert.deepEqual(sort(numbered(2, 2), { axis: 0 }).toArray(), [
    [0, 1],
    [2, 3],
  ]);
  assert.deepEqual(grad((x: Tensor) => dot(sort(x), float64(1, 10, 100)))(float64(5, -1, 2)).toArray(), [100, 1, 10]);
  assert.deepEqual(takeAlongAxis(numbered(2, 3), tensor([[2], [0]], { dtype: "int32" })).toArray(), [[2], [3]]);
  assert.throws(() => takeAlongAxis(numbered(2, 3), tensor([[3], [0]], { dtype: "int32" })), RangeError);
});

test("arranging", () => {
  const x = numbered(2, 3);
  assert.deepEqual(stack([x, x], { axis: 1 }).shape, [2, 2, 3]);
  assert.deepEqual(
    split(x, 3, { axis: 1 }).map((part) => part.toArray()),
    [
      [[0], [3]],
      [[1], [4]],
      [[2], [5]],
    ],
  );
  assert.deepEqual(
    split(x, [1], { axis: 1 }).map((part) => part.shape),
    [
      [2, 1],
      [2, 2],
    ],
  );
  assert.deepEqual(tile(tensor([1, 2]), [2, 2]).toArray(), [
    [1, 2, 1, 2],
    [1, 2, 1, 2],
  ]);
  assert.deepEqual(tile(x, [2]).toArray(), [
    [0, 1, 2, 0, 1, 2],
    [3, 4, 5, 3, 4, 5],
  ]);
  assert.deepEqual(repeat(x, 2, { axis: 0 }).toArray(), [
    [0, 1, 2],
    [0, 1, 2],
    [3, 4, 5],
    [3, 4, 5],
  ]);
  assert.deepEqual(repeat(x, 2).toArray(), [
    [0, 0, 1, 1, 2, 2],
    [3, 3, 4, 4, 5, 5],
  ]);
  assert.deepEqual(
    [expandDims(x, -1).shape, squeeze(zeros([1, 2, 1])).shape, squeeze(zeros([1, 2, 1]), 0).shape],
    [[2, 3, 1], [2], [2, 1]],
  );
  assert.deepEqual(
    [moveAxis(zeros([2, 3, 4]), 0, -1).shape, cumsum(x).toArray()],
    [
      [3, 4, 2],
      [
        [0, 1, 3],
        [3, 7, 12],
      ],
    ],
  );
  assert.deepEqual(outer(float64(1, 2), float64(3, 4)).toArray(), [
    [3, 4],
    [6, 8],
  ]);
  assert.throws(
    () => split(x, 2, { axis: 1 }),
    new ShapeError("split: expected axis 1 of (2, 3) to divide into 2 parts, got size 3; give positions instead"),
  );
  assert.throws(() => dot(x, x), new ShapeError("dot: expected two vectors of one length, got (2, 3) and (2, 3)"));
  assert.throws(() => outer(x, x), new ShapeError("outer: expected two vectors, got (2, 3) and (2, 3)"));
  assert.throws(() => tril(tensor([1])), new ShapeError("tril: expected matrices, got (1,)"));
});

test("sizes and numbers of copies are whole and not negative", () => {
  const x = tensor([1, 2, 3]);
  const refuses = (call: () => unknown, name: string, message: string): void => assert.throws(call, { name, message });
  const sizes = "expected sizes that are whole numbers ≥ 0, got";
  refuses(() => broadcastTo(x, [1.5, 3]), "ShapeError", `broadcastTo: ${sizes} (1.5, 3)`);
  refuses(() => broadcastTo(x, [-1, 3]), "ShapeError", `broadcastTo: ${sizes} (-1, 3)`);
  refuses(() => broadcastTo(1, [-2]), "ShapeError", `broadcastTo: ${sizes} (-2,)`);
  const repeats = "tile: expected repeats that are whole numbers ≥ 0, got";
  refuses(() => tile(x, [-2]), "ShapeError", `${repeats} (-2,)`);
  refuses(() => tile(x, [1, 0.5]), "ShapeError", `${repeats} (1, 0.5)`);
  refuses(() => repeat(x, -2), "RangeError", "repeat: expected times to be a whole number ≥ 0, got -2");
  refuses(() => repeat(x, 1.5), "RangeError", "repeat: expected times to be a whole number ≥ 0, got 1.5");
  const parts = "split: expected axis 0 of (3,) to divide into";
  refuses(() => split(x, 1.5), "ShapeError", `${parts} 1.5 parts, got size 3; give positions instead`);
  refuses(() => split(x, -1), "ShapeError", `${parts} -1 parts, got size 3; give positions instead`);
  assert.deepEqual([tile(x, [0]).shape, repeat(x, 0).shape, broadcastTo(x, [0, 3]).shape], [[0], [0], [0, 3]]);
});

test("a row that does not exist is refused by its own number", () => {
  const ids = (values: number[] | number[][]): Tensor => tensor(values, { dtype: "int32" });
  const refuses = (call: () => unknown, wrong: string): void =>
    assert.throws(call, {
      name: "RangeError",
      message: `${wrong}; check the vocabulary size or clip the ids first`,
    });
  const seven = "take: expected indices from 0 to 2, got 7";
  refuses(() => takeAlongAxis(numbered(2, 3), ids([[1], [7]])), seven);
  refuses(() => jit(takeAlongAxis)(numbered(2, 3), ids([[7], [1]])), seven);
  refuses(() => takeAlongAxis(numbered(2, 3), ids([[-1], [1]])), "take: expected indices from 0 to 2, got -1");
  refuses(() => vmap(take)(numbered(2, 3), ids([0, 7])), seven);
  refuses(() => vmap(take)(numbered(2, 3), ids([-3, 0])), "take: expected indices from 0 to 2, got -3");
});
