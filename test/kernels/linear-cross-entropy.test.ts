import assert from "node:assert/strict";
import { test } from "node:test";
import {
  add,
  argmax,
  cast,
  grad,
  matmul,
  mul,
  ones,
  type Program,
  random,
  sum,
  type Tensor,
  tensor,
  trace,
  transpose,
  zeros,
} from "@fmmformer/autodiff";
import { linearCrossEntropy, softmaxCrossEntropy } from "@fmmformer/kernels";
import {
  agree,
  agreesWithOracle,
  commutesWithJit,
  commutesWithVmap,
  distinctSizes,
  hasGradient,
  isPure,
  keys,
  runsAlike,
  staysFinite,
  tensors,
} from "@fmmformer/kernels/laws";
import { wasm } from "@fmmformer/kernels/wasm";
import fc from "fast-check";

const dense = (x: Tensor, weight: Tensor, bias: Tensor, labels: Tensor): Tensor =>
  softmaxCrossEntropy(add(matmul(x, transpose(weight)), bias), labels);

/** Rows (b, n, c), weights, biases and labels, three times; and a chunk that may divide the classes, or be larger than all. */
const calls = distinctSizes(["b", "n", "c", "v"], { min: 2, max: 7 }).chain(({ b, n, c, v }) => {
  const labels = fc
    .array(fc.integer({ min: 0, max: v - 1 }), { minLength: b * n, maxLength: b * n })
    .map((ids) => tensor(Int32Array.from(ids), { shape: [b, n] }));
  const call = fc.tuple(tensors([b, n, c]), tensors([v, c]), tensors([v]), labels);
  return fc.record({ calls: fc.tuple(call, call, call), chunk: fc.integer({ min: 1, max: 8 }) });
});

test("it is the cross-entropy of the logits, with its gradient of any order and under vmap and jit, for any chunk", () => {
  fc.assert(
    fc.property(calls, keys(), ({ calls: three, chunk }, key) => {
      const op = (x: Tensor, weight: Tensor, bias: Tensor, labels: Tensor): Tensor =>
        linearCrossEntropy(x, weight, bias, labels, { chunk }).losses;
      const [args] = three;
      agreesWithOracle(op, dense, args, { key, tolerance: 1e-11 });
      hasGradient(op, args, { key, tolerance: 1e-5 });
      isPure(op, args);
      commutesWithJit(op, args, { key });
      commutesWithVmap(op, three, { key });
    }),
    { numRuns: 15, includeErrorInReport: true },
  );
});

test("it names the likeliest class, the first of equals", () => {
  fc.assert(
    fc.property(calls, ({ calls: [[x, weight, bias, labels]], chunk }) => {
      const { named } = linearCrossEntropy(x, weight, bias, labels, { chunk });
      agree("named", named, argmax(add(matmul(x, transpose(weight)), bias), { axis: -1 }));
    }),
  );
  const same = tensor([[0], [0], [0], [0]]);
  const { named } = linearCrossEntropy(tensor([[1]]), same, tensor([1, 2, 2, 2]), tensor([3], { dtype: "int32" }), {
    chunk: 2,
  });
  assert.deepEqual(named.toArray(), [1]);
});

test("large logits stay finite and keep their digits", () => {
  const op = (x: Tensor, weight: Tensor, bias: Tensor): Tensor =>
    linearCrossEntropy(x, weight, bias, tensor([0, 2], { dtype: "int32" }), { chunk: 2 }).losses;
  const args = [tensor([[100], [-100]]), tensor([[100], [-100], [99.99]]), tensor([0, 0.5, 1])] as const;
  staysFinite(op, [...args]);
  const [first, second] = op(...args).toArray() as number[];
  assert.ok(Math.abs(first - Math.log(2)) < 1e-3, `${first}`); // 10⁴ and 9,999 + 1
  assert.equal(second, 19_998.5); // 10⁴ + ½ over −9,999 + 1
});

test("classes that are out of the question may fill a chunk", () => {
  const never = Number.NEGATIVE_INFINITY;
  const bias = tensor([never, never, 0, 1, never]);
  const op = (x: Tensor, chunk: number): Tensor =>
    linearCrossEntropy(x, ones([5, 2]), bias, tensor([2, 3], { dtype: "int32" }), { chunk }).losses;
  const x = random.normal(random.key(0), [2, 2]);
  for (const chunk of [1, 2, 3]) {
    agree("losses", op(x, chunk), op(x, 5), { tolerance: 1e-6 });
    staysFinite((t: Tensor) => op(t, chunk), [x]);
  }
});

test("a row of no numbers is not taken to be right", () => {
  const labels = tensor([4, 3, 2], { dtype: "int32" });
  const { losses, named } = linearCrossEntropy(mul(ones([3, 2]), Number.NaN), ones([5, 2]), zeros([5]), labels, {
    chunk: 2,
  });
  assert.ok(losses.data.every(Number.isNaN));
  assert.deepEqual(named.toArray(), [0, 0, 0]);
});

test("dtypes are promoted: the wider of rows, weights and biases", () => {
  const [x, weight, bias] = [[2, 3], [5, 3], [5]].map((shape) => random.normal(random.key(0), shape));
  const labels = tensor([0, 4], { dtype: "int32" });
  const wide = linearCrossEntropy(x, cast(weight, "float64"), bias, labels, { chunk: 2 }).losses;
  assert.equal(wide.dtype, "float64");
  agree("losses", cast(wide, "float32"), linearCrossEntropy(x, weight, bias, labels).losses, { tolerance: 1e-6 });
});

test("on the wasm engine it is what it is, with the same bits on any number of threads", () => {
  const [x, weight, bias] = [[33, 16], [500, 16], [500]].map((shape, i) => random.normal(random.key(i), shape));
  const labels = tensor(Int32Array.from({ length: 33 }, (_, i) => (i * 61) % 500));
  const op = (a: Tensor, w: Tensor, b: Tensor): unknown => linearCrossEntropy(a, w, b, labels, { chunk: 128 });
  runsAlike(op, [x, weight, bias], [wasm(), wasm({ threads: 2 })], { tolerance: 1e-5 });
});

test("no array of its program, gradients included, is larger than the rows by a chunk", () => {
  const [t, v, c, chunk] = [64, 4096, 2, 256];
  const [x, weight, bias] = [[t, c], [v, c], [v]].map((shape) => random.normal(random.key(0), shape));
  const labels = tensor(new Int32Array(t));
  const loss = (a: Tensor, w: Tensor, b: Tensor): Tensor => sum(linearCrossEntropy(a, w, b, labels, { chunk }).losses);
  const program = trace(grad(loss, { argnums: [0, 1, 2] }))(x, weight, bias);
  assert.equal(largestIn(program), t * chunk);
});

function largestIn({ equations }: Program): number {
  const inside = (params: unknown): number => {
    const { program } = (params ?? {}) as { readonly program?: Program };
    return program ? largestIn(program) : 0;
  };
  const sizes = equations.flatMap(({ outs, params }) => [
    inside(params),
    ...outs.map(({ shape }) => shape.reduce((a, b) => a * b, 1)),
  ]);
  return Math.max(...sizes);
}

test("what does not fit is refused", () => {
  const [x, weight, bias] = [[2, 3], [5, 3], [5]].map((shape) => random.normal(random.key(0), shape));
  const labels = tensor([0, 4], { dtype: "int32" });
  const cases: [() => unknown, RegExp][] = [
    [
      () => linearCrossEntropy(x, bias, bias, labels),
      /^ShapeError: linearCrossEntropy: expected weight \(classes, c\)/,
    ],
    [() => linearCrossEntropy(bias, weight, bias, labels), /^ShapeError: linearCrossEntropy: expected x \(c=3\)/],
    [() => linearCrossEntropy(x, weight, x, labels), /^ShapeError: linearCrossEntropy: expected bias \(classes=5\)/],
    [() => linearCrossEntropy(x, weight, bias, x), /^ShapeError: linearCrossEntropy: expected labels \(2\)/],
    [() => linearCrossEntropy(x, weight, bias, tensor([0, 1])), /^DTypeError: linearCrossEntropy: .*float32/],
    [
      () => linearCrossEntropy(x, weight, bias, tensor([0, 5], { dtype: "int32" })),
      /^RangeError: take: expected indices from 0 to 4, got 5/,
    ],
    [() => linearCrossEntropy(x, weight, bias, labels, { chunk: 0 }), /^RangeError: .*chunk .*≥ 1, got 0$/],
  ];
  for (const [call, message] of cases) {
    assert.throws(call, (error) => message.test(String(error)) || assert.fail(String(error)));
  }
});
