import assert from "node:assert/strict";
import { test } from "node:test";
import {
  add,
  gelu as composedGelu,
  DTypeError,
  div,
  exp,
  grad,
  greater,
  jit,
  log,
  mean,
  mul,
  ones,
  onesLike,
  pow,
  random,
  ShapeError,
  sqrt,
  sub,
  sum,
  type Tensor,
  tensor,
  trace,
  variance,
  zeros,
} from "@fmmformer/autodiff";
import {
  adamUpdate,
  dropout,
  gelu,
  layerNorm,
  meanCrossEntropy,
  rmsNorm,
  softmaxCrossEntropy,
} from "@fmmformer/kernels";
import {
  agree,
  agreesWithOracle,
  commutesWithJit,
  commutesWithVmap,
  distinctSizes,
  hasGradient,
  isAdjoint,
  isPure,
  keys,
  refusesOtherSizes,
  staysFinite,
  tensors,
} from "@fmmformer/kernels/laws";
import fc from "fast-check";

const runs = { numRuns: 15, includeErrorInReport: true };

/** Rows (b, n, c) with numbers far enough apart that no row is constant, and so many vectors (c). */
function rows(vectors: number): fc.Arbitrary<Tensor[][]> {
  return distinctSizes(["b", "n", "c"], { min: 2 }).chain(({ b, n, c }) => {
    const spreadOut = tensors([b, n, c]).map((x) =>
      add(x, tensor(Float64Array.from({ length: c }, (_, i) => 5 * (i % 2)))),
    );
    const call = fc.tuple(spreadOut, ...Array.from({ length: vectors }, () => tensors([c])));
    return fc.tuple(call, call, call).map((calls) => calls.map((args) => [...args]));
  });
}

const naiveLayerNorm = (x: Tensor, gain: Tensor, bias: Tensor): Tensor => {
  const deviation = sqrt(add(variance(x, { axis: -1, keepDims: true }), 1e-5));
  return add(mul(div(sub(x, mean(x, { axis: -1, keepDims: true })), deviation), gain), bias);
};

const naiveRmsNorm = (x: Tensor, gain: Tensor): Tensor =>
  mul(div(x, sqrt(add(mean(mul(x, x), { axis: -1, keepDims: true }), 1e-5))), gain);

for (const [name, op, naive, vectors] of [
  ["layerNorm", layerNorm, naiveLayerNorm, 2],
  ["rmsNorm", rmsNorm, naiveRmsNorm, 1],
] as const) {
  const f = op as (...args: Tensor[]) => Tensor;

  test(`${name} is its definition, with the gradient of its definition, in any order and under vmap and jit`, () => {
    fc.assert(
      fc.property(rows(vectors), keys(), (calls, key) => {
        const [args] = calls;
        agreesWithOracle(f, naive as typeof f, args, { key, tolerance: 1e-10 });
        hasGradient(f, args, { key, tolerance: 1e-5 });
        isPure(f, args);
        commutesWithJit(f, args, { key });
        commutesWithVmap(f, calls, { key });
        commutesWithVmap(f, calls, { key, in: args.map((_, i) => (i === 0 ? 0 : null)) });
        commutesWithVmap(f, calls, { key, in: args.map((_, i) => (i === 0 ? null : 0)) });
        refusesOtherSizes(f, args, {
          name,
          free: [
            [0, 0],
            [0, 1],
          ],
        });
      }),
      runs,
    );
  });

  test(`${name} of a constant row is finite, and so is its gradient`, () => {
    const args = [tensor([[3, 3, 3]], { dtype: "float64" }), ...Array.from({ length: vectors }, () => ones([3]))];
    staysFinite(f, args);
    staysFinite(f, [mul(args[0], 1e30), ...args.slice(1)]);
  });

  test(`${name} is one equation, and its pullback another, that keep no more than a number for each row`, () => {
    const args = [ones([5, 4]), ...Array.from({ length: vectors }, () => ones([4]))];
    const program = trace(grad((...xs: Tensor[]) => sum(f(...xs))))(...args);
    assert.equal(program.equations.length, 2, String(program));
    const kept = program.equations[0].outs.slice(1).map(({ shape }) => shape);
    assert.deepEqual(
      kept,
      kept.map(() => [5, 1]),
    );
    assert.match(String(program), new RegExp(`= ${name} .*\n.* = ${name}.pullback`));
  });
}

test("gelu is autodiff's composition, with its gradient, in any order and under vmap and jit", () => {
  const numbers = tensors([2, 3], { low: -6, high: 6 });
  fc.assert(
    fc.property(numbers, numbers, keys(), (x, y, key) => {
      agreesWithOracle(gelu, composedGelu, [x], { key });
      hasGradient(gelu, [x], { key, order: 3 });
      commutesWithJit(gelu, [x], { key });
      commutesWithVmap(gelu, [[x], [y]], { key });
    }),
    runs,
  );
  staysFinite(gelu, [tensor([-1e30, -40, -0, 0, 1e-40, 40, 1e30])]);
});

test("dropout zeroes a share of elements and keeps the expected value", () => {
  const n = 100_000;
  for (const rate of [0.1, 0.5, 0.9]) {
    const y = dropout(ones([n]), { rate, key: random.key(1) });
    const kept = sum(greater(y, 0)).item();
    assert.ok(Math.abs(kept / n - (1 - rate)) < 0.006, `${rate}: kept ${kept / n}`);
    assert.ok(y.data.every((v: number) => v === 0 || Math.abs(v - 1 / (1 - rate)) < 1e-6));
  }
});

test("dropout drops the same elements in its pullback, and others for another key", () => {
  const x = random.normal(random.key(0), [7, 5], { dtype: "float64" });
  const [key, other] = random.split(random.key(3));
  const f = (t: Tensor): Tensor => dropout(t, { rate: 0.4, key });
  isAdjoint(f, x);
  hasGradient(f, [x]);
  agree("dropout", grad((t: Tensor) => sum(f(t)))(x), f(onesLike(x)));
  assert.notDeepEqual(dropout(x, { rate: 0.4, key: other }).toArray(), f(x).toArray());
  commutesWithJit(f, [x]);
  const calls = [0, 1, 2].map((i) => [random.normal(random.key(i), [7, 5], { dtype: "float64" })] as [Tensor]);
  commutesWithVmap(f, calls);
});

test("dropout at rate 0 is the identity, and refuses a rate outside 0 … 1", () => {
  const x = ones([3]);
  assert.equal(dropout(x, { rate: 0, key: random.key(0) }), x);
  for (const rate of [-0.1, 1, Number.NaN]) {
    assert.throws(() => dropout(x, { rate, key: random.key(0) }), /^RangeError: dropout: expected a dropout rate/);
  }
});

const labelled = distinctSizes(["b", "n", "c"], { min: 2 }).chain(({ b, n, c }) => {
  const labels = fc
    .array(fc.integer({ min: 0, max: c - 1 }), { minLength: b * n, maxLength: b * n })
    .map((values) => tensor(Int32Array.from(values), { shape: [b, n] }));
  const call = fc.tuple(tensors([b, n, c]), labels);
  return fc.tuple(call, call, call, tensors([b, n], { low: 0 }));
});

/** ln Σ e^x − x_label, by a choice written as a product. */
const naiveCrossEntropy = (logits: Tensor, labels: Tensor): Tensor => {
  const chosen = tensor(
    Float64Array.from({ length: logits.size }, (_, i) => {
      const c = logits.shape[logits.shape.length - 1];
      return Number(labels.data[Math.floor(i / c)] === i % c);
    }),
    { shape: logits.shape },
  );
  return sub(log(sum(exp(logits), { axis: -1 })), sum(mul(logits, chosen), { axis: -1 }));
};

test("softmaxCrossEntropy is its definition, with the gradient of its definition, in any order and under vmap and jit", () => {
  fc.assert(
    fc.property(labelled, keys(), ([first, second, third], key) => {
      agreesWithOracle(softmaxCrossEntropy, naiveCrossEntropy, first, { key });
      hasGradient(softmaxCrossEntropy, first, { key });
      isPure(softmaxCrossEntropy, first);
      commutesWithJit(softmaxCrossEntropy, first, { key });
      commutesWithVmap(softmaxCrossEntropy, [first, second, third], { key });
      commutesWithVmap(softmaxCrossEntropy, [first, second, third], { key, in: [0, null] });
      commutesWithVmap(softmaxCrossEntropy, [first, second, third], { key, in: [null, 0] });
    }),
    runs,
  );
});

test("meanCrossEntropy weighs, whatever stands where nothing is weighed", () => {
  fc.assert(
    fc.property(labelled, keys(), ([[logits, labels], , , weights], key) => {
      const f = (x: Tensor, w: Tensor): Tensor => meanCrossEntropy(x, labels, { weights: w });
      const naive = (x: Tensor, w: Tensor): Tensor => div(sum(mul(naiveCrossEntropy(x, labels), w)), sum(w));
      fc.pre(sum(weights).item() > 0.5);
      agreesWithOracle(f, naive, [logits, add(weights, 0.05)], { key });
      hasGradient(f, [logits, add(weights, 0.05)], { key });
      const all = meanCrossEntropy(logits, labels);
      agree("meanCrossEntropy", f(logits, onesLike(weights)), all, { tolerance: 1e-12 });
    }),
    runs,
  );
  const logits = tensor([
    [Number.NaN, 1],
    [0, 1],
  ]);
  const labels = tensor([0, 1], { dtype: "int32" });
  const loss = (x: Tensor): Tensor => meanCrossEntropy(x, labels, { weights: tensor([0, 2]) });
  assert.ok(Math.abs(loss(logits).item() - Math.log(1 + Math.exp(-1))) < 1e-6);
  assert.deepEqual(grad(loss)(logits).toArray()[0 as never], [0, 0]);
  assert.equal(meanCrossEntropy(logits, labels, { weights: zeros([2]) }).item(), 0);
});

test("cross-entropy stays finite at logits of ±10⁴, and says what is wrong with labels", () => {
  const labels = tensor([0, 2], { dtype: "int32" });
  const logits = tensor(
    [
      [-1e4, 1e4, 0],
      [1e4, 1e4, 1e4],
    ],
    { dtype: "float64" },
  );
  staysFinite((x: Tensor) => softmaxCrossEntropy(x, labels), [logits]);
  assert.deepEqual(softmaxCrossEntropy(logits, labels).toArray(), [2e4, Math.log(3)]);
  const wrong = (values: number[], dtype: "int32" | "float32" = "int32") => tensor(values, { dtype });
  assert.throws(() => softmaxCrossEntropy(logits, wrong([0, 3])), /^RangeError: .* from 0 to 2, got 3/);
  assert.throws(() => softmaxCrossEntropy(logits, wrong([0, -1])), /^RangeError: .* from 0 to 2, got -1/);
  assert.throws(() => softmaxCrossEntropy(logits, wrong([0])), ShapeError);
  assert.throws(() => softmaxCrossEntropy(logits, wrong([0, 1], "float32")), DTypeError);
  assert.throws(
    () => meanCrossEntropy(logits, labels, { weights: ones([3]) }),
    /^ShapeError: meanCrossEntropy: expected weights \(2\), got \(3,\)/,
  );
});

test("adamUpdate is its definition, also where its numbers are traced, and has its gradient", () => {
  const naive = (g: Tensor, mu: Tensor, nu: Tensor, t: Tensor): Tensor[] => {
    const [m, n] = [add(mul(mu, 0.8), mul(g, 0.2)), add(mul(nu, 0.9), mul(mul(g, g), 0.1))];
    const [mHat, nHat] = [div(m, sub(1, pow(0.8, t))), div(n, sub(1, pow(0.9, t)))];
    return [div(mHat, add(sqrt(nHat), 1e-6)), m, n];
  };
  const f = (g: Tensor, mu: Tensor, nu: Tensor, step: Tensor): Tensor[] =>
    adamUpdate(g, mu, nu, { step, beta1: 0.8, beta2: 0.9, eps: 1e-6 });
  fc.assert(
    fc.property(
      tensors([3, 2]),
      tensors([3, 2]),
      tensors([3, 2], { low: 0.1 }),
      fc.integer({ min: 1, max: 999 }),
      (g, mu, nu, t) => {
        const args = [g, mu, nu, tensor(Float64Array.of(t), { shape: [] })] as [Tensor, Tensor, Tensor, Tensor];
        agreesWithOracle(f, naive, args, { tolerance: 1e-10 });
        hasGradient((a: Tensor, b: Tensor, c: Tensor) => f(a, b, c, args[3]), [g, mu, nu], { order: 1 });
        isPure(f, args);
        commutesWithJit(f, args);
      },
    ),
    runs,
  );
  const step = jit((g: Tensor, t: number) => adamUpdate(g, zeros([2]), zeros([2]), { step: t })[0]);
  const u = step(tensor([3, -4]), 1).data;
  assert.ok(Math.abs(u[0] - 1) < 1e-6 && Math.abs(u[1] + 1) < 1e-6, "the first step is the sign, to float32 rounding");
  assert.throws(() => adamUpdate(ones([2]), ones([3]), ones([2]), { step: 1 }), /^ShapeError: adamUpdate: expected µ/);
});
