import assert from "node:assert/strict";
import { test } from "node:test";
import { add, flatten, grad, isTensor, mul, sum, type Tensor, tensor, treeMap, unflatten } from "@fmmformer/autodiff";

test("a tree is taken apart with its keys sorted, and put together again", () => {
  const tree = { b: [tensor([1]), 2] as const, a: { z: null, y: "name", x: tensor([3]) }, c: undefined };
  const { leaves, structure } = flatten(tree);
  assert.deepEqual(leaves.map(String), ["[3.]", "[1.]", "2"]);
  const again = unflatten(structure, leaves) as typeof tree;
  assert.deepEqual(again, tree);
  assert.deepEqual(Object.keys(again), ["a", "b", "c"]);
});

test("instances keep their class, functions and symbols their identity", () => {
  class Layer {
    w: Tensor = tensor([1, 2]);
    activation = (x: Tensor): Tensor => mul(x, 2);
  }
  const layer = new Layer();
  const doubled = treeMap((x) => mul(x, 2), layer);
  assert.ok(doubled instanceof Layer);
  assert.equal(doubled.activation, layer.activation);
  assert.deepEqual(doubled.w.toArray(), [2, 4]);
});

test("treeMap goes through trees of one form side by side", () => {
  const [params, grads] = [
    { w: tensor([1, 2]), b: [3] },
    { b: [tensor(1)], w: tensor([10, 20]) },
  ];
  const next = treeMap((p, g) => add(p, mul(g, 0.5)), params, grads);
  assert.deepEqual([next.w.toArray(), String(next.b[0])], [[6, 12], "3.5"]);
});

test("trees of different forms are refused in one line", () => {
  const refuses = (other: unknown, message: string): void =>
    assert.throws(() => treeMap((a, b) => add(a, b), { w: tensor(1), n: "x" }, other), { name: "TypeError", message });
  refuses([tensor(1)], 'treeMap: expected a tree of the form {"n":"x","w":*}, got [*]');
  refuses({ w: tensor(1), n: "y" }, 'treeMap: expected a tree of the form {"n":"x","w":*}, got {"n":"y","w":*}');
  refuses({ w: [tensor(1)], n: "x" }, 'treeMap: expected a tree of the form {"n":"x","w":*}, got {"n":"x","w":[*]}');
  refuses({ w: null, n: "x" }, "treeMap: expected a tensor or a number for each one in the first tree, got null");
});

test("what cannot be a tree is refused, with what to do", () => {
  const f = (x: unknown): Tensor => sum(x as Tensor);
  const refuses = (x: unknown, message: string): void =>
    assert.throws(() => grad(f)(x), { name: "TypeError", message });
  refuses(new Float32Array(2), "tree: expected a tensor, got an object of class Float32Array; wrap it with tensor(…)");
  refuses(new Map(), "tree: expected arrays and objects, got an object of class Map");
  refuses(Promise.resolve(1), "tree: expected values, got a promise; transformed functions must be synchronous");
});

test("what is a leaf may be decided anew", () => {
  const { leaves } = flatten({ a: 1, b: tensor(2), c: [3] }, isTensor);
  assert.deepEqual(leaves.map(String), ["2.0"]);
});
