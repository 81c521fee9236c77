import assert from "node:assert/strict";
import { test } from "node:test";
import {
  add,
  argmax,
  argmin,
  cast,
  concat,
  cumsum,
  type DType,
  div,
  equal,
  exp,
  full,
  grad,
  iota,
  jit,
  logicalAnd,
  logicalNot,
  logicalOr,
  matmul,
  max,
  mean,
  min,
  mod,
  mul,
  notEqual,
  oneHot,
  pow,
  prod,
  type Scalar,
  scatterAdd,
  softmax,
  sqrt,
  stack,
  sub,
  sum,
  type Tensor,
  take,
  tensor,
  vmap,
  where,
  zeros,
} from "@fmmformer/autodiff";

const dtypes: readonly DType[] = ["bool", "int32", "float32", "float64"];
const one = (dtype: DType): Tensor => tensor([1, 0], { dtype });

test("two dtypes meet in the larger one; bools count as int32", () => {
  const table = dtypes.map((a) => dtypes.map((b) => add(one(a), one(b)).dtype));
  assert.deepEqual(table, [
    ["int32", "int32", "float32", "float64"],
    ["int32", "int32", "float32", "float64"],
    ["float32", "float32", "float32", "float64"],
    ["float64", "float64", "float64", "float64"],
  ]);
  for (const op of [sub, mul, where.bind(null, 1), mod] as ((x: Tensor, y: Tensor) => Tensor)[]) {
    assert.equal(op(one("int32"), one("float32")).dtype, "float32");
    assert.equal(op(one("float32"), one("float64")).dtype, "float64");
  }
  assert.equal(concat([one("int32"), one("float32"), one("bool")]).dtype, "float32");
  assert.equal(concat([one("bool"), one("bool")]).dtype, "bool");
});

test("quotients, powers and functions of integers are float32", () => {
  const ints = tensor([7, 2], { dtype: "int32" });
  for (const y of [
    div(ints, ints),
    div(ints, 2),
    pow(ints, 2),
    exp(ints),
    sqrt(one("bool")),
    softmax(ints),
    mean(ints),
  ]) {
    assert.equal(y.dtype, "float32");
  }
  assert.equal(div(ints, 2).toString(), "[3.5 1. ]");
});

test("a number takes the dtype of its partner, but float32 beside integers unless it is whole", () => {
  assert.deepEqual(
    dtypes.map((d) => add(one(d), 2).dtype),
    ["int32", "int32", "float32", "float64"],
  );
  assert.deepEqual(
    dtypes.map((d) => mul(0.5, one(d)).dtype),
    ["float32", "float32", "float32", "float64"],
  );
  assert.equal(mul(tensor([3], { dtype: "int32" }), 0.5).item(), 1.5);
  assert.equal(add(tensor([1], { dtype: "int32" }), 2 ** 31).dtype, "float32");
  assert.equal(add(tensor([0.1]), 0.2).item(), Math.fround(Math.fround(0.1) + Math.fround(0.2)));
});

test("numbers stay weak until they meet a tensor, through ops and under transformations", () => {
  const half = div(1, 2);
  assert.equal(add(half, one("float32")).dtype, "float32");
  assert.equal(add(half, one("float64")).dtype, "float64");
  assert.equal(mul(exp(0), one("float32")).dtype, "float32");
  const scale = (x: Tensor, by: Scalar): Tensor => mul(x, exp(by));
  assert.equal(jit(scale)(one("float32"), 2).dtype, "float32");
  assert.equal(grad((x: Tensor, by: number) => sum(scale(x, by)))(one("float32"), 2).dtype, "float32");
  assert.equal(grad((by: number, x: Tensor) => sum(scale(x, by)))(2, one("float32")).shape.length, 0);
  assert.equal(add(stack([1, 2]), one("float32")).dtype, "float32");
});

test("sums and running sums of bools count, comparisons are bools, choices are places", () => {
  const b = tensor([true, true, false]);
  assert.deepEqual([sum(b).dtype, sum(b).item(), cumsum(b).toArray(), max(b).dtype], ["int32", 2, [1, 2, 2], "int32"]);
  assert.deepEqual([equal(b, 1).dtype, argmax(b).dtype, oneHot(argmax(b), 3).dtype], ["bool", "int32", "float32"]);
  assert.deepEqual(matmul(tensor([[true, true]]), tensor([[true], [true]])).toArray(), [[2]]);
});

test("truth is what is not 0, NaN included", () => {
  const x = tensor([0, -0, 2, NaN]);
  assert.deepEqual(cast(x, "bool").toArray(), [false, false, true, true]);
  assert.deepEqual(tensor([0, 2, NaN], { dtype: "bool" }).toArray(), [false, true, true]);
  assert.deepEqual(logicalNot(tensor([0, 2])).toArray(), [true, false]);
  assert.deepEqual(logicalAnd(tensor([0, 2, 3]), tensor([1, 0, 0.5])).toArray(), [false, false, true]);
  assert.deepEqual(logicalOr(tensor([0, 2, 0]), tensor([0, 0, 0.5])).toArray(), [false, true, true]);
  assert.deepEqual(notEqual(tensor([1, NaN]), tensor([1, NaN])).toArray(), [false, true]);
  assert.deepEqual(where(tensor([0, 0.5]), 1, 2).toArray(), [2, 1]);
});

test("casting to int32 drops the fraction and wraps; a fill is stored as its dtype stores it", () => {
  assert.deepEqual(cast(tensor([1.9, -1.9, 2 ** 31, NaN], { dtype: "float64" }), "int32").toArray(), [
    1,
    -1,
    -(2 ** 31),
    0,
  ]);
  const fills: readonly [number, DType][] = [
    [1.9, "int32"],
    [-1.9, "int32"],
    [2 ** 31, "int32"],
    [0.1, "float32"],
    [7, "bool"],
    [NaN, "bool"],
  ];
  for (const [value, dtype] of fills) {
    const [filled, stored] = [full([2], value, { dtype }), tensor([value, value], { dtype })];
    assert.deepEqual(cast(filled, "float64").toArray(), cast(stored, "float64").toArray());
    assert.deepEqual(cast(full([2], value, { dtype: "float64" }), dtype).toArray(), filled.toArray());
  }
});

test("integers divide and index exactly", () => {
  const big = tensor([2 ** 31 - 1, -(2 ** 31)], { dtype: "int32" });
  assert.deepEqual(add(big, 1).toArray(), [-(2 ** 31), -(2 ** 31) + 1]);
  assert.deepEqual(
    mod(tensor([7, -7, 7], { dtype: "int32" }), tensor([3, 3, 0], { dtype: "int32" })).toArray(),
    [1, 2, 0],
  );
  assert.equal(take(zeros([3]), 1).item(), 0);
});

const least = -(2 ** 31);
const most = 2 ** 31 - 1;

test("the least of integers is found among all of them, −2³¹ too", () => {
  const x = tensor(
    [
      [7, least, 3],
      [most, 0, -1],
    ],
    { dtype: "int32" },
  );
  assert.deepEqual([min(x).item(), min(x).dtype, min(tensor([true, false])).toArray()], [least, "int32", 0]);
  assert.deepEqual(
    [min(x, { axis: 1 }).toArray(), max(x, { axis: 1 }).toArray()],
    [
      [least, -1],
      [7, most],
    ],
  );
  assert.deepEqual(
    [argmin(x).toArray(), argmax(x).toArray(), argmin(tensor([true, false])).item()],
    [[1, 2], [0, 0], 1],
  );
});

test("integers multiply and add up modulo 2³²", () => {
  const ints = (...values: number[]): Tensor => tensor(Int32Array.from(values));
  assert.equal(mul(ints(123456789), 1234567891).item(), -275631537);
  assert.equal(Math.imul(123456789, 1234567891), -275631537);
  const [x, y] = [ints(most, least, 123456789, 65537, -3), ints(most, most, 1234567891, 987654321, most)];
  const products = [...x.data].map((v, i) => Math.imul(v, y.data[i]));
  assert.deepEqual(mul(x, y).toArray(), products);
  assert.equal(prod(x).item(), [...x.data].reduce(Math.imul));
  const total = products.reduce((a, b) => (a + b) | 0);
  assert.equal(matmul(x, y).item(), total);
  assert.deepEqual(matmul(stack([x, y]), stack([x, y], { axis: 1 })).toArray(), [
    [[...x.data].reduce((a, v) => (a + Math.imul(v, v)) | 0, 0), total],
    [total, [...y.data].reduce((a, v) => (a + Math.imul(v, v)) | 0, 0)],
  ]);
});

test("long sums of integers stay exact where a double would round", () => {
  const n = 2 ** 22 + 2 ** 11 + 1;
  const x = tensor(new Int32Array(n).fill(most));
  const exact = Number(BigInt.asIntN(32, BigInt(n) * BigInt(most)));
  assert.equal(sum(x).item(), exact);
  assert.equal(cumsum(x).data[n - 1], exact);
  assert.equal(cumsum(x, { reverse: true }).data[0], exact);
});

test("rows of bools that are added count, as sums of bools do", () => {
  const [rows, updates] = [tensor([0, 2, 2], { dtype: "int32" }), tensor([true, true, true])];
  const x = tensor([true, false, false, true]);
  const y = scatterAdd(x, rows, updates);
  assert.deepEqual([y.dtype, y.toArray()], ["int32", [2, 0, 2, 1]]);
  assert.deepEqual(jit(scatterAdd)(x, rows, updates).toArray(), [2, 0, 2, 1]);
  assert.deepEqual(vmap((u: Tensor) => scatterAdd(x, 1, u))(updates).dtype, "int32");
  assert.deepEqual(grad((v: Tensor) => sum(take(v, rows)))(zeros([4])).toArray(), [1, 0, 2, 0]);
});

test("a dtype that does not exist is refused where it is named", () => {
  const refuses = (call: () => unknown, op: string): void =>
    assert.throws(call, {
      name: "DTypeError",
      message: `${op}: expected a dtype of bool, int32, float32 or float64, got "float16"`,
    });
  const dtype = "float16" as DType;
  refuses(() => cast(zeros([2]), dtype), "cast");
  refuses(() => jit((x: Tensor) => cast(x, dtype))(zeros([2])), "cast");
  refuses(() => tensor([1, 2], { dtype }), "tensor");
  refuses(() => tensor(new Float32Array(2), { dtype }), "tensor");
  refuses(() => zeros([2], { dtype }), "full");
  refuses(() => iota(3, { dtype }), "full");
  refuses(() => oneHot(tensor([1], { dtype: "int32" }), 3, { dtype }), "cast");
});
