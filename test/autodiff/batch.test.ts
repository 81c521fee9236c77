import assert from "node:assert/strict";
import { test } from "node:test";
import {
  AbstractValueError,
  add,
  grad,
  iota,
  matmul,
  mul,
  ones,
  reshape,
  ShapeError,
  sum,
  type Tensor,
  tensor,
  transpose,
  vmap,
  where,
  zeros,
} from "@fmmformer/autodiff";

const numbered = (...shape: number[]): Tensor =>
  reshape(
    iota(
      shape.reduce((a, b) => a * b, 1),
      { dtype: "float64" },
    ),
    shape,
  );

test("in names the mapped axis of each argument, by position or by a tree", () => {
  const f = (p: { w: Tensor; b: Tensor }, x: Tensor): Tensor => add(matmul(p.w, x), p.b);
  const [w, b, x] = [numbered(2, 3), numbered(4), numbered(3, 4)];
  const y = vmap(f, { in: [{ w: null, b: 0 }, 1] })({ w, b }, x);
  assert.deepEqual(y.toArray(), transpose(add(matmul(w, x), b)).toArray());
  assert.deepEqual(vmap((r: Tensor) => sum(r), { in: -1 })(numbered(2, 3)).toArray(), [3, 5, 7]);
});

test("out names where the calls lie in the results", () => {
  const f = (x: Tensor): { row: Tensor; total: Tensor } => ({ row: mul(x, 2), total: sum(x) });
  const x = numbered(2, 3);
  const y = vmap(f, { out: { row: 1, total: 0 } })(x);
  assert.deepEqual(y.row.toArray(), transpose(mul(x, 2)).toArray());
  assert.deepEqual(y.total.toArray(), [3, 12]);
  assert.deepEqual(vmap((r: Tensor) => r, { out: -1 })(x).toArray(), transpose(x).toArray());
});

test("a result that is the same in each call is repeated, or kept once where out is null", () => {
  const constant = tensor([1, 2]);
  assert.deepEqual(vmap((_: Tensor) => constant)(zeros([3])).toArray(), [
    [1, 2],
    [1, 2],
    [1, 2],
  ]);
  assert.deepEqual(vmap((_: Tensor) => constant, { out: null })(zeros([3])).toArray(), [1, 2]);
  assert.throws(
    () => vmap((x: Tensor) => x, { out: null })(zeros([3])),
    new ShapeError("vmap: expected a result that is the same in each call where out is null, got one that varies"),
  );
});

test("mapped functions nest, and may close over mapped values", () => {
  const [x, y] = [numbered(3, 2), numbered(4, 2)];
  const distances = vmap((a: Tensor) => vmap((b: Tensor) => sum(mul(add(a, mul(b, -1)), add(a, mul(b, -1)))))(y))(x);
  const expected = [0, 1, 2].map((i) => [0, 1, 2, 3].map((j) => 8 * (i - j) ** 2));
  assert.deepEqual(distances.toArray(), expected);
});

test("a gradient per example is vmap of a gradient", () => {
  const loss = (w: Tensor, x: Tensor): Tensor => sum(mul(mul(w, x), x));
  const g = vmap(grad(loss), { in: [null, 0] })(ones([2], { dtype: "float64" }), numbered(3, 2));
  assert.deepEqual(g.toArray(), [
    [0, 1],
    [4, 9],
    [16, 25],
  ]);
});

test("vmap refuses axes that do not fit, each in one line", () => {
  const f = (x: Tensor, y: Tensor): Tensor => add(sum(x), sum(y));
  const refuses = (call: () => unknown, name: string, message: string): void => assert.throws(call, { name, message });
  refuses(
    () => vmap(f)(zeros([3, 2]), zeros([4])),
    "ShapeError",
    "vmap: expected mapped axes of length 3, got 4 in shape (4,)",
  );
  refuses(
    () => vmap(f)(zeros([3]), zeros([])),
    "ShapeError",
    "vmap: expected a value with an axis 0, got shape (); give in: null for it",
  );
  refuses(
    () => vmap(f, { in: [2, 0] })(zeros([3, 2]), zeros([2])),
    "ShapeError",
    "vmap: expected a value with an axis 2, got shape (3, 2); give in: null for it",
  );
  refuses(
    () => vmap(f, { in: null })(zeros([3]), zeros([3])),
    "ShapeError",
    "vmap: expected at least one mapped argument, got none; give in: an axis for one of them",
  );
  refuses(
    () => vmap(f, { in: [0, 0, 0] })(zeros([3]), zeros([3])),
    "TypeError",
    "vmap: expected nothing for in[2], got an axis",
  );
  refuses(
    () => vmap(f, { in: [0] })(zeros([3]), zeros([3])),
    "TypeError",
    "vmap: expected an axis or null for in[1], got nothing",
  );
  refuses(
    () => vmap(f, { in: [0, [0]] })(zeros([3]), zeros([3])),
    "TypeError",
    "vmap: expected in to have the form of the arguments, got a list or object for one value",
  );
});

test("a mapped value has no numbers to branch on", () => {
  const f = (x: Tensor): Tensor => (x.item() > 0 ? x : mul(x, -1));
  assert.throws(() => vmap(f)(tensor([1, -1])), AbstractValueError);
  assert.throws(() => vmap(f)(tensor([1, -1])), /choose with where\(…\)$/);
  assert.deepEqual(vmap((x: Tensor) => where(x, x, 5))(tensor([1, 0])).toArray(), [1, 5]);
});
