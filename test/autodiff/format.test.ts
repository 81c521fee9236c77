import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import {
  type DType,
  FmmformerError,
  full,
  iota,
  jit,
  type Nested,
  reshape,
  type Tensor,
  tensor,
  zeros,
} from "@fmmformer/autodiff";
import { Dense } from "@fmmformer/autodiff/extend";

// What numpy 2.4 prints, but for true and false.

const check = (x: Tensor, text: string): void => assert.equal(String(x), text);
const of = (values: Nested, dtype: DType = "float32"): Tensor => tensor(values, { dtype });

test("whole numbers are aligned at the right", () => {
  check(of([1, 2, 3], "int32"), "[1 2 3]");
  check(
    of(
      [
        [1, -20],
        [300, 4],
      ],
      "int32",
    ),
    "[[  1 -20]\n [300   4]]",
  );
  check(
    of(
      [
        [true, false],
        [false, true],
      ],
      "bool",
    ),
    "[[ true false]\n [false  true]]",
  );
});

test("fractions have the digits that tell a number from its neighbours, eight at most", () => {
  check(of([1, 2, 3]), "[1. 2. 3.]");
  check(of([0.5, 1, -2.25]), "[ 0.5   1.   -2.25]");
  check(of([0.1, 0.2, 1 / 3]), "[0.1        0.2        0.33333334]");
  check(of([1 / 3, 2 / 3], "float64"), "[0.33333333 0.66666667]");
  check(of([-0, 0]), "[-0.  0.]");
});

test("powers of ten appear where numbers are large, small, or far apart", () => {
  check(of([1e-5, 1, 1000]), "[1.e-05 1.e+00 1.e+03]");
  check(of([1e10, 1], "float64"), "[1.e+10 1.e+00]");
  check(of([0.001, 1000], "float64"), "[1.e-03 1.e+03]");
  check(of([123456.789, 0.1], "float64"), "[1.23456789e+05 1.00000000e-01]");
  check(of([3.4028235e38]), "[3.4028235e+38]");
  check(of([[1e-45]]), "[[1.e-45]]");
});

test("what is no number is aligned with the numbers", () => {
  check(of([NaN, 1, Infinity, -Infinity]), "[ nan   1.  inf -inf]");
  check(of([NaN, -Infinity]), "[ nan -inf]");
  check(of([NaN, 1.25]), "[ nan 1.25]");
});

test("a scalar is a number", () => {
  const scalars: readonly (readonly [number, DType, string])[] = [
    [0.1, "float32", "0.1"],
    [3, "float32", "3.0"],
    [1e6, "float32", "1e+06"],
    [123456789.5, "float64", "123456789.5"],
    [1e16, "float64", "1e+16"],
    [1e-5, "float64", "1e-05"],
    [-0, "float64", "-0.0"],
    [NaN, "float32", "nan"],
    [-Infinity, "float32", "-inf"],
    [-7, "int32", "-7"],
    [1, "bool", "true"],
  ];
  for (const [value, dtype, text] of scalars) check(of(value, dtype), text);
});

test("axes nest, with an empty line between matrices", () => {
  check(
    reshape(iota(12, { dtype: "float32" }), [2, 2, 3]),
    "[[[ 0.  1.  2.]\n  [ 3.  4.  5.]]\n\n [[ 6.  7.  8.]\n  [ 9. 10. 11.]]]",
  );
  check(zeros([0]), "[]");
  check(zeros([2, 0]), "[]");
  check(zeros([1, 1, 1]), "[[[0.]]]");
});

test("above a thousand elements the ends of each axis are shown", () => {
  check(iota(1001), "[   0    1    2 ...  998  999 1000]");
  check(
    reshape(iota(2000, { dtype: "float32" }), [2, 1000]),
    "[[0.000e+00 1.000e+00 2.000e+00 ... 9.970e+02 9.980e+02 9.990e+02]\n [1.000e+03 1.001e+03 1.002e+03 ... 1.997e+03 1.998e+03 1.999e+03]]",
  );
  const rows = String(reshape(iota(2400), [20, 120])).split("\n");
  assert.deepEqual(
    [rows.length, rows[0], rows[3], rows[6]],
    [7, "[[   0    1    2 ...  117  118  119]", " ...", " [2280 2281 2282 ... 2397 2398 2399]]"],
  );
});

test("long rows are wrapped", () => {
  const rows = String(iota(40)).split("\n");
  assert.deepEqual(rows, [
    "[ 0  1  2  3  4  5  6  7  8  9 10 11 12 13 14 15 16 17 18 19 20 21 22 23",
    " 24 25 26 27 28 29 30 31 32 33 34 35 36 37 38 39]",
  ]);
});

test("a tensor of many small axes is printed whole", () => {
  const text = String(full(new Array<number>(17).fill(2), 0.5));
  assert.equal(text.match(/0\.5/g)?.length, 2 ** 17);
});

test("a tracer without numbers shows what it stands for, and a tensor that cannot be read why", () => {
  let shown = "";
  jit((x: Tensor) => {
    shown = String(x);
    return x;
  })(tensor([1, 2, 3]));
  assert.equal(shown, "Tracer((3,), float32)");
  class DonatedError extends FmmformerError {}
  const aval = { shape: [3], dtype: "float32", weak: false } as const;
  const lost = (error: Error): Tensor =>
    new Dense(aval, () => {
      throw error;
    });
  check(
    lost(new DonatedError("tensor: expected a value in memory, got one that was given away")),
    "Tensor((3,), float32, unreadable: expected a value in memory, got one that was given away)",
  );
  assert.throws(() => String(lost(new TypeError("a mistake"))), { name: "TypeError", message: "a mistake" });
});

test("the console shows a tensor as it prints, and JavaScript's operators are refused", () => {
  const x = tensor([1, 2]);
  assert.equal(inspect({ x }), "{ x: [1. 2.] }");
  assert.equal(`${x}`, "[1. 2.]");
  assert.throws(() => (x as unknown as number) + 1, {
    name: "TypeError",
    message: "tensor: expected an op, got a JavaScript operator; write add(x, y), not x + y, and x.item() for a number",
  });
  assert.throws(() => (x as unknown as number) > 1, TypeError);
});
