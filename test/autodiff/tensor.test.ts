import assert from "node:assert/strict";
import { test } from "node:test";
import {
  DTypeError,
  eye,
  full,
  iota,
  isTensor,
  linspace,
  type Nested,
  onesLike,
  ShapeError,
  type Tensor,
  tensor,
  zeros,
  zerosLike,
} from "@fmmformer/autodiff";

test("tensors are made of numbers, booleans and nested arrays of them", () => {
  const x = tensor([
    [1, 2, 3],
    [4, 5, 6],
  ]);
  assert.deepEqual(
    [x.shape, x.dtype, x.size, x.toArray()],
    [
      [2, 3],
      "float32",
      6,
      [
        [1, 2, 3],
        [4, 5, 6],
      ],
    ],
  );
  assert.deepEqual([tensor(3).shape, tensor(3).item(), tensor(true).dtype], [[], 3, "bool"]);
  assert.deepEqual([tensor([]).shape, tensor([[], []]).shape, tensor([]).dtype], [[0], [2, 0], "float32"]);
  assert.deepEqual(tensor([1, 2, 3, 4], { shape: [2, 2] }).toArray(), [
    [1, 2],
    [3, 4],
  ]);
});

test("a typed array keeps its kind and is not copied", () => {
  const data = Float64Array.from([1, 2, 3, 4]);
  const x = tensor(data, { shape: [2, 2] });
  assert.equal(x.data, data);
  assert.equal(x.dtype, "float64");
  assert.equal(tensor(Int32Array.of(1)).dtype, "int32");
  assert.equal(tensor(Uint8Array.of(1, 0)).dtype, "bool");
  assert.deepEqual(tensor(Uint8Array.of(7, 255), { dtype: "float32" }).toArray(), [7, 255]);
});

test("what does not hold together is refused in one line", () => {
  const refuses = (call: () => unknown, type: new (m: string) => Error, message: string): void =>
    assert.throws(call, new type(message));
  refuses(() => tensor([[1, 2], [3]]), ShapeError, "tensor: expected rows of length 2 at depth 1, got 1");
  refuses(
    () => tensor([1, [2]] as Nested),
    TypeError,
    "tensor: expected numbers nested 1 deep, got an array at depth 1",
  );
  refuses(
    () => tensor([[1], 2] as Nested),
    TypeError,
    "tensor: expected numbers nested 2 deep, got a number at depth 1",
  );
  refuses(() => tensor([1, "2"] as never), TypeError, 'tensor: expected numbers nested 1 deep, got "2" at depth 1');
  refuses(() => tensor([1, 2, 3], { shape: [2, 2] }), ShapeError, "tensor: expected 4 values for shape (2, 2), got 3");
  refuses(
    () => tensor(new Float32Array(3), { shape: [-3] }),
    ShapeError,
    "tensor: expected sizes that are whole numbers ≥ 0, got (-3,)",
  );
  refuses(
    () => tensor(Uint8Array.of(0, 5)),
    DTypeError,
    "tensor: expected 0 or 1 in a Uint8Array, which holds bools, got 5; give { dtype } for bytes",
  );
  refuses(
    () => tensor(Int16Array.of(1) as never),
    DTypeError,
    "tensor: expected a Float32Array, Float64Array, Int32Array or Uint8Array, got an object of class Int16Array; convert it first",
  );
  refuses(() => zeros([2, 0.5]), ShapeError, "full: expected sizes that are whole numbers ≥ 0, got (2, 0.5)");
  refuses(() => tensor([1, 2]).item(), ShapeError, "item: expected one element, got shape (2,); reduce it first");
});

test("makers", () => {
  assert.deepEqual(full([2, 1], 7, { dtype: "int32" }).toArray(), [[7], [7]]);
  assert.deepEqual(eye(2).toArray(), [
    [1, 0],
    [0, 1],
  ]);
  assert.deepEqual([iota(3).toArray(), iota(3).dtype, iota(0).toArray()], [[0, 1, 2], "int32", []]);
  assert.deepEqual(linspace(0, 1, 5).toArray(), [0, 0.25, 0.5, 0.75, 1]);
  assert.deepEqual([linspace(2, 3, 1).toArray(), linspace(2, 3, 0).toArray()], [[2], []]);
  const x: Tensor = tensor([[1, 2]], { dtype: "float64" });
  assert.deepEqual([zerosLike(x).toArray(), onesLike(x).toArray(), onesLike(x).dtype], [[[0, 0]], [[1, 1]], "float64"]);
});

test("tensors are known by a mark, not by their class, so that two copies of the package meet", () => {
  assert.ok(isTensor(tensor(1)));
  assert.ok(isTensor({ [Symbol.for("fmmformer.tensor")]: true }));
  assert.ok(!isTensor({ shape: [], dtype: "float32" }));
  for (const x of [null, undefined, 1, "x", [], new Float32Array(1)]) assert.ok(!isTensor(x));
});
