import assert from "node:assert/strict";
import { after, test } from "node:test";
import {
  add,
  argmax,
  argsort,
  grad,
  jit,
  log,
  logSumExp,
  mod,
  mul,
  ones,
  random,
  reshape,
  scan,
  sigmoid,
  slice,
  softplus,
  sum,
  type Tensor,
  take,
  tensor,
  trace,
  vmap,
  zeros,
} from "@fmmformer/autodiff";
import {
  causalProduct,
  farField,
  fastWeight,
  featureMaps,
  fullAttention,
  nearField,
  softmaxCrossEntropy,
} from "@fmmformer/kernels";
import { explainKernels, gpu } from "@fmmformer/kernels/gpu";
import { runsAlikeOn } from "@fmmformer/kernels/laws";
import { borrowedOp, borrowedSign } from "../laws/borrowed-names.ts";
import { closeModes, openModes } from "./modes.ts";
import { tokens } from "./op-cases.ts";

// Law 8 where there is no number, nothing at all, or no such row.

const modes = await openModes();
after(() => closeModes(modes));

const none = Number.NaN;
const never = -Infinity;
const classes = tensor([0, 1, 2, 0, 1, 2], { dtype: "int32" });
const logits = tensor([
  [1, none, 2],
  [none, 1, 2],
  [0, 1, none],
  [3, 1, 2],
  [none, 4, none],
  [0, 0, 0],
]);
const numbers = tensor([none, -1, 0, 1, 9, 0.9, Infinity, 1e-30]);

type Case = readonly [op: (...xs: Tensor[]) => Tensor, ...args: Tensor[]];

/** Each takes arrays of so many elements that kernels compute it. */
const numberless: Readonly<Record<string, Case>> = {
  log: [(x) => log(x), numbers],
  argmax: [(x) => argmax(x), logits],
  argsort: [(x) => argsort(x), tensor([3, none, 1, none, 2, 0])],
  "mod by 0": [(x, y) => mod(x, y), tensor([1.5, -2.5, 0, 3, 7]), tensor([0, 0, 0, -2, none])],
  "mod by 0 of integers": [
    (x, y) => add(mod(x, y), 1),
    tensor([5, -5, 0, 3, 7], { dtype: "int32" }),
    tensor([0, 0, 0, -2, 4], { dtype: "int32" }),
  ],
};

/** They take e^x, which a driver of a graphics processor may make ∞ of NaN. */
const exponential: Readonly<Record<string, Case>> = {
  softplus: [(x) => softplus(x), numbers],
  softmaxCrossEntropy: [(x) => softmaxCrossEntropy(x, classes), logits],
  logSumExp: [(x) => logSumExp(x, { axis: -1 }), logits],
};

const bandBias = tensor([[0, never, never]]);
/** The first row sees nothing. */
const earlier = tensor(
  [0, 1, 2, 3, 4].map((i) => [0, 1, 2, 3, 4].map((j) => (j < i ? 0.1 * j : never))),
  { dtype: "float32" },
);
const emptied: Readonly<Record<string, readonly [op: (...xs: Tensor[]) => Tensor, bias: Tensor]>> = {
  nearField: [(q, k, v, bias) => nearField(q, k, v, { bandwidth: 2, bias }), bandBias],
  fullAttention: [(q, k, v, bias) => fullAttention(q, k, v, { bias }), earlier],
};

const masked: Readonly<Record<string, readonly [op: (...xs: Tensor[]) => Tensor, bias: Tensor]>> = {
  nearField: [
    (q, k, v, mask, bias) => nearField(q, k, v, { bandwidth: 2, mask, bias }),
    random.normal(random.key(7), [2, 3]),
  ],
  fullAttention: [
    (q, k, v, mask, bias) => fullAttention(q, k, v, { mask, bias }),
    random.normal(random.key(8), [2, 5, 5]),
  ],
};

for (const engine of modes.engines) {
  const { mode } = engine;

  for (const [name, [op, ...args]] of Object.entries(numberless)) {
    test(`${name}: what is no number stays none in mode ${mode}`, () => runsAlikeOn(op, args, engine));
  }

  for (const [name, [op, ...args]] of Object.entries(exponential)) {
    test(`${name} of what is no number is not finite in mode ${mode}`, async () => {
      if (mode !== "webgpu") return runsAlikeOn(op, args, engine);
      const found = await jit(op, { engine })(...args);
      op(...args).data.forEach((y: number, i: number) => {
        assert.equal(Number.isFinite(found.data[i]), Number.isFinite(y), `element ${i}: ${found.data[i]}`);
      });
    });
  }

  for (const [name, [op, bias]] of Object.entries(emptied)) {
    test(`${name}: a row that the bias empties has gradient 0 in mode ${mode}`, () =>
      runsAlikeOn(op, [...tokens(1, 1, 5, 3, 4), bias], engine));
  }

  for (const [name, [op, bias]] of Object.entries(masked)) {
    const mask = tensor([[1, 0, 1, 1, 0]], { dtype: "float32" });
    test(`${name}: the gradient of a bias is not that of a float mask beside it in mode ${mode}`, async () => {
      const args = [...tokens(1, 2, 5, 3, 4), mask, bias];
      await runsAlikeOn(op, args, engine);
      const [q, k, v] = args;
      await runsAlikeOn(
        (m, b) => grad((x: Tensor, y: Tensor) => sum(op(q, k, v, x, y)), { argnums: [0, 1] })(m, b),
        [mask, bias],
        engine,
      );
    });
  }

  for (const [b, h, n, d, m] of [
    [0, 2, 3, 4, 5],
    [2, 0, 3, 4, 5],
    [2, 3, 0, 4, 5],
    [2, 3, 4, 0, 5],
    [2, 3, 4, 5, 0],
  ]) {
    test(`arrays of (b, h, n, d, m) = (${[b, h, n, d, m]}) give what there is in mode ${mode}`, async () => {
      const features = [featureMaps.elu];
      const ops: readonly ((...xs: Tensor[]) => unknown)[] = [
        (q, k, v) => nearField(q, k, v, { bandwidth: 2, scale: 1 }),
        (q, k, v) => farField(q, k, v, { features, returnState: true }),
        (q, k, v) => farField(q, k, v, { features, causal: true, returnState: true }),
        (q, k, v) => causalProduct(q, k, v),
        (q, k, v) => fastWeight(q, k, v, sigmoid(ones([b, h, n])), { returnState: true }),
        ...(n > 0 ? [(q: Tensor, k: Tensor, v: Tensor) => fullAttention(q, k, v, { scale: 1 })] : []),
      ];
      for (const op of ops) await runsAlikeOn(op, [ones([b, h, n, d]), ones([b, h, n, d]), ones([b, h, n, m])], engine);
    });
  }

  test(`a loop of no rounds gives its first carry and empty stacks in mode ${mode}`, async () => {
    const loop = (carry: Tensor, xs: Tensor): unknown =>
      scan((c: Tensor, x: Tensor) => [add(c, x), mul(c, x)], carry, xs);
    await runsAlikeOn(loop, [ones([5]), zeros([0, 5])], engine);
  });

  const table = random.normal(random.key(3), [3, 6]);
  const scores = (x: Tensor): Tensor => reshape(x, [6, 3]);
  const ofLabels: Readonly<Record<string, (labels: Tensor, x: Tensor) => unknown>> = {
    "of a loss": (labels, x) => softmaxCrossEntropy(scores(x), labels),
    "of a gradient alone": (labels, x) => grad((y: Tensor) => sum(softmaxCrossEntropy(scores(y), labels)))(x),
    "that are some of those given": (labels, x) => softmaxCrossEntropy(slice(scores(x), [1]), slice(labels, [1])),
    "one more than those given": (labels, x) => take(x, add(labels, 1)),
    "under vmap": (labels, x) =>
      vmap((y: Tensor, own: Tensor) => take(y, own))(reshape(x, [2, 3, 3]), reshape(labels, [2, 3])),
    "in a loop": (labels, x) =>
      scan((sum: Tensor, row: Tensor) => [add(sum, take(x, row)), sum], zeros([6]), labels)[0],
  };
  for (const [name, op] of Object.entries(ofLabels)) {
    test(`impossible row numbers ${name} are told in mode ${mode}, as the value rule tells them`, async () => {
      const bad = tensor([0, 1, 2, 9, 1, 0], { dtype: "int32" });
      const told = (run: () => unknown): Promise<string> => (async () => String(await run()))().catch(String);
      const expected = await told(() => op(bad, table));
      assert.match(expected, /^RangeError: take: expected indices from 0 to \d, got -?\d+; /);
      assert.equal(await told(() => jit(op, { engine })(bad, table)), expected);
    });
  }
}

test("a constant that is too large is refused", () => {
  const large = tensor(new Float32Array(2 ** 24 + 1));
  const program = trace((rows: Tensor) => take(large, rows))(classes);
  assert.throws(
    () => explainKernels(program),
    /^RangeError: gpu: expected arrays of at most 16777216 elements, got 16777217 in a constant; /,
  );
});

test("an op or a primitive that only has a kernel's name is not run by the kernel", async () => {
  const engine = gpu({ mode: "cpu" });
  const x = tensor([-1, 0, 3]);
  assert.deepEqual((await jit(borrowedOp("layerNorm"), { engine })(x)).toArray(), [-2, 0, 6]);
  await assert.rejects(
    async () => jit(borrowedSign, { engine })(x),
    /^FmmformerError: gpu: expected primitives of this library, got sign, /,
  );
  await engine.destroy();
});
