import assert from "node:assert/strict";
import { test } from "node:test";
import {
  cast,
  checkGradients,
  flatten,
  grad,
  jit,
  random,
  type Tensor,
  tensor,
  treeMap,
  valueAndGrad,
} from "@fmmformer/autodiff";
import { agree, tensors } from "@fmmformer/kernels/laws";
import { wasm } from "@fmmformer/kernels/wasm";
import {
  type AdaptiveSoftmaxParams,
  adamw,
  adaptiveSoftmax,
  type Batch,
  crossEntropy,
  defineTask,
  evaluate,
  fmmformer,
  type Model,
  prepared,
  type SortedBatch,
  score,
  train,
} from "@fmmformer/models";
import fc from "fast-check";
import { shaken } from "./parameters.ts";

const b = 2;
const runs = { numRuns: 25, includeErrorInReport: true };

/** Sizes, cutoffs, parameters, rows (b, n, c), and labels and weights, some 0. */
const cases = fc
  .record({
    n: fc.integer({ min: 1, max: 6 }),
    c: fc.integer({ min: 1, max: 4 }),
    sizes: fc.array(fc.integer({ min: 1, max: 5 }), { minLength: 2, maxLength: 4 }),
  })
  .chain(({ n, c, sizes }) => {
    const bounds = sizes.map((_, i) => sizes.slice(0, i + 1).reduce((a, s) => a + s, 0));
    const classes = bounds[bounds.length - 1];
    const cutoffs = bounds.slice(0, -1);
    return fc.record({
      softmax: fc.constant(adaptiveSoftmax({ width: c, classes, cutoffs })),
      cutoffs: fc.constant(cutoffs),
      params: fc.record({
        table: tensors([classes, c]),
        bias: tensors([classes]),
        clusters: fc.record({ weight: tensors([cutoffs.length, c]), bias: tensors([cutoffs.length]) }),
      }),
      x: tensors([b, n, c]),
      labels: fc
        .array(fc.integer({ min: 0, max: classes - 1 }), { minLength: b * n, maxLength: b * n })
        .map((ids) => tensor(Int32Array.from(ids), { shape: [b, n] })),
      weights: fc
        .array(fc.constantFrom(0, 0, 1, 2), { minLength: b * n, maxLength: b * n })
        .map((values) => tensor(Float32Array.from(values), { shape: [b, n] })),
    });
  });

const batchOf = (labels: Tensor, weights: Tensor): Batch => ({ tokens: labels, mask: null, labels, weights });

/** Logits of one row, by the loops that the definition says. */
function logitsOf(
  { table, bias }: { readonly table: Tensor; readonly bias: Tensor },
  row: readonly number[],
): number[] {
  const c = row.length;
  return Array.from(bias.data, (start, v) => row.reduce((total, x, i) => total + x * table.data[v * c + i], start));
}

function normalized(logits: readonly number[]): number[] {
  const total = logits.reduce((sum, x) => sum + Math.exp(x), 0);
  return logits.map((x) => Math.exp(x) / total);
}

/** Probabilities of all classes for one row, and the class that head and tail name one after the other. */
function dense(
  { table, bias, clusters }: AdaptiveSoftmaxParams,
  cutoffs: readonly number[],
  row: readonly number[],
): { readonly probabilities: number[]; readonly named: number } {
  const all = logitsOf({ table, bias }, row);
  const bounds = [...cutoffs, all.length];
  const head = normalized([
    ...all.slice(0, cutoffs[0]),
    ...logitsOf({ table: clusters.weight, bias: clusters.bias }, row),
  ]);
  const tails = cutoffs.map((from, i) => normalized(all.slice(from, bounds[i + 1])));
  const probabilities = [
    ...head.slice(0, cutoffs[0]),
    ...tails.flatMap((tail, i) => tail.map((p) => p * head[cutoffs[0] + i])),
  ];
  const best = (p: readonly number[]): number => p.indexOf(Math.max(...p));
  const first = best(head);
  return {
    probabilities,
    named: first < cutoffs[0] ? first : cutoffs[first - cutoffs[0]] + best(tails[first - cutoffs[0]]),
  };
}

test("probabilities of all classes add up to 1 and are what the definition says", () => {
  fc.assert(
    fc.property(cases, ({ softmax, cutoffs, params, x }) => {
      const logs = softmax.apply(params, x).toArray() as number[][][];
      const rows = (x.toArray() as number[][][]).flat();
      for (const [i, row] of logs.flat().entries()) {
        const { probabilities } = dense(params, cutoffs, rows[i]);
        const total = row.reduce((sum, log) => sum + Math.exp(log), 0);
        assert.ok(Math.abs(total - 1) < 1e-12, `${total}`);
        for (const [v, p] of probabilities.entries())
          assert.ok(Math.abs(Math.exp(row[v]) - p) < 1e-12 * Math.max(1, p));
      }
    }),
    runs,
  );
});

test("scores are those of the probabilities, of a batch as it is and sorted, with the same gradients", () => {
  fc.assert(
    fc.property(cases, ({ softmax, cutoffs, params, x, labels, weights }) => {
      const batch = batchOf(labels, weights);
      const sorted = softmax.sort(batch);
      const rows = (x.toArray() as number[][][]).flat();
      let [loss, right, total] = [0, 0, 0];
      for (const [i, row] of rows.entries()) {
        const { probabilities, named } = dense(params, cutoffs, row);
        loss -= weights.data[i] * Math.log(probabilities[labels.data[i]]);
        right += weights.data[i] * Number(named === labels.data[i]);
        total += weights.data[i];
      }
      const lossOf = (given: Batch) => (p: AdaptiveSoftmaxParams, rowsIn: Tensor) =>
        softmax.score(p, rowsIn, given).loss;
      for (const given of [batch, sorted]) {
        const scores = softmax.score(params, x, given);
        const mean = (sum: number): number => (total === 0 ? 0 : sum / total);
        assert.ok(Math.abs(scores.loss.item() - mean(loss)) < 1e-11 * Math.max(1, mean(loss)));
        assert.ok(Math.abs(scores.accuracy.item() - mean(right)) < 1e-6);
        checkGradients(lossOf(given), [params, x], { tolerance: 1e-6 });
      }
      const [a, c] = [batch, sorted].map((given) => grad(lossOf(given), { argnums: [0, 1] })(params, x));
      agree("sorted", c, a, { tolerance: 1e-12 });
      agree("by logits", softmax.score(params, x, batch).loss, crossEntropy(softmax.apply(params, x), batch), {
        tolerance: 1e-11,
      });
    }),
    runs,
  );
});

test("a sorted batch has room for a quarter of the rows where a quarter has room, and so on, and no label is lost", () => {
  const { sort } = adaptiveSoftmax({ width: 2, classes: 100, cutoffs: [10, 50] });
  const labels = tensor(Int32Array.from({ length: 64 }, (_, i) => (i < 4 ? 20 + i : i < 5 ? 99 : i % 10)));
  const { scored } = sort({ tokens: labels, mask: null, labels }) as SortedBatch;
  assert.deepEqual(
    scored.map(({ at }) => at.size),
    [64, 4, 1],
  );
  assert.deepEqual(Array.from(scored[1].at.data), [0, 1, 2, 3]);
  assert.deepEqual(Array.from(scored[2].weights.data), [1]);
  const weights = tensor(Float32Array.from({ length: 64 }, (_, i) => Number(i === 3 || i > 50)));
  const few = sort({ tokens: labels, mask: null, labels, weights }) as SortedBatch;
  assert.deepEqual(
    few.scored.map(({ at }) => at.size),
    [16, 1, 1],
  );
  assert.deepEqual(Array.from(few.scored[0].at.data), [3, 51, 52, 53, 54, 55, 56, 57, 58, 59, 60, 61, 62, 63, 0, 0]);
  assert.deepEqual(Array.from(few.scored[1].at.data), [0]); // the first of the scored rows
  assert.deepEqual(Array.from(few.scored[2].weights.data), [0]);
});

const words = 60;

/** The next word is a function of this one, rarer words being larger numbers. */
const chain = defineTask({
  name: "chain",
  kind: "label-tokens",
  causal: true,
  vocabulary: words,
  length: 12,
  classes: words,
  examples: { train: Infinity, validation: Infinity, test: 32 },
  example(_, index) {
    const tokens = Int32Array.from({ length: 12 }, (__, i) => ((index * 7 + i * i * 5) % 97) % words);
    return { tokens, labels: tokens.map((v) => (v * 11 + 3) % words), weights: new Float32Array(12).fill(1, 2) };
  },
  describe: () => "",
});

function model(tied: boolean): Model<ReturnType<ReturnType<typeof fmmformer>["init"]>> {
  const sizes = { vocabulary: words, length: 12, classes: words, width: 16, hidden: 16, layers: 1, heads: 2 } as const;
  return fmmformer({ ...sizes, kind: "label-tokens", causal: true, tied, cutoffs: [8, 24] }) as never;
}

for (const tied of [true, false]) {
  test(`a ${tied ? "tied" : "free"} model scores itself as its logits would be, and trains`, () => {
    const network = model(tied);
    const params = shaken(network.init(random.key(0)));
    const batch = chain.batch("train", 0, 3);
    const logits = network.apply(params, batch.tokens);
    assert.deepEqual(logits.shape, [3, 12, words]);
    agree("loss", score(network, params, batch).loss, crossEntropy(logits, batch), { tolerance: 1e-10 });
    const trained = train(network, chain, { optimizer: adamw({ learningRate: 2e-2 }), steps: 90, batchSize: 8 });
    const { loss, accuracy } = evaluate(network, trained.params, chain, { batchSize: 16 });
    assert.ok(loss < 0.2 && accuracy > 0.95, `loss ${loss}, accuracy ${accuracy}`);
  });
}

test("on the wasm engine scores and gradients are the same", () => {
  const network = model(true);
  const params = network.init(random.key(1));
  const batch = prepared(network, chain.batch("train", 1, 4));
  const loss = (p: typeof params, given: Batch): Tensor => score(network, p, given).loss;
  const [value, grads] = valueAndGrad(loss)(params, batch);
  const [fast, fastGrads] = jit(valueAndGrad(loss), { engine: wasm() })(params, batch);
  agree("wasm", fast, value, { tolerance: 1e-5 });
  agree("wasm (gradient)", fastGrads, grads, { tolerance: 1e-5 });
  assert.ok(
    flatten(grads).leaves.every((g) => (g as Tensor).data.some((x) => x !== 0)),
    "a parameter without gradient",
  );
});

test("what cannot be is refused", () => {
  const make = (cutoffs: readonly number[]) => () => adaptiveSoftmax({ width: 2, classes: 10, cutoffs });
  for (const cutoffs of [[], [10], [0], [5, 5], [6, 3], [2.5]]) {
    assert.throws(make(cutoffs), /^RangeError: adaptiveSoftmax: expected cutoffs that ascend .*classes=10/);
  }
  const softmax = make([4])();
  const params = shaken({
    table: random.normal(random.key(0), [10, 2]),
    bias: random.normal(random.key(0), [10]),
    clusters: softmax.init(random.key(0)),
  });
  const x = random.normal(random.key(1), [1, 2, 2]);
  const labels = (ids: number[]) => tensor([ids], { dtype: "int32" });
  const scoreOf = (p: AdaptiveSoftmaxParams, rows: Tensor, batch: Batch) => () => softmax.score(p, rows, batch);
  const ones = tensor([[1, 1]]);
  for (const batch of [batchOf(labels([3, 10]), ones), softmax.sort(batchOf(labels([3, 10]), ones))]) {
    assert.throws(scoreOf(params, x, batch), /^RangeError: take: expected indices from 0 to 9, got 10/);
  }
  const fine = batchOf(labels([3, 9]), ones);
  const short = treeMap((y) => (cast(y, "float64").shape.length === 2 ? tensor([[1, 2]]) : y), params);
  assert.throws(scoreOf(short, x, fine), /^ShapeError: adaptiveSoftmax: expected table \(10, 2\), got \(1, 2\)/);
  assert.throws(
    scoreOf(params, random.normal(random.key(1), [1, 2, 3]), fine),
    /expected x \(…, c=2\), got \(1, 2, 3\)/,
  );
});
