import assert from "node:assert/strict";
import { test } from "node:test";
import { random } from "@fmmformer/autodiff";
import {
  adamw,
  copy,
  defineTask,
  digits,
  fmmformer,
  greyLabeller,
  listOps,
  listOpsSizes,
  maskedTask,
  nextTokenTask,
  switchBoard,
  train,
} from "@fmmformer/models";

const lists = listOps(listOpsSizes.small);

test("a share of the tokens is hidden, padding never, and exactly the hidden ones are asked for", () => {
  const masked = maskedTask(lists, { share: 0.3 });
  assert.deepEqual(
    [masked.kind, masked.vocabulary, masked.classes, masked.length],
    ["label-tokens", lists.vocabulary + 1, lists.vocabulary, lists.length],
  );
  let [hidden, tokens] = [0, 0];
  for (let index = 0; index < 200; index++) {
    const whole = lists.example("train", index);
    const example = masked.example("train", index);
    assert.deepEqual(example.labels, whole.tokens);
    example.tokens.forEach((token, i) => {
      const asked = example.weights![i] === 1;
      assert.equal(token, asked ? lists.vocabulary : whole.tokens[i]);
      if (asked) assert.equal(whole.mask![i], 1);
      hidden += Number(asked);
      tokens += whole.mask![i];
    });
  }
  assert.ok(Math.abs(hidden / tokens - 0.3) < 0.02, `${hidden / tokens}`);
});

test("what is hidden is a function of seed, split and place, and another in the next epoch", () => {
  const of = (seed: number, index: number): string =>
    maskedTask(lists, { share: 0.3, seed }).example("train", index).weights!.join();
  assert.equal(of(1, 5), of(1, 5));
  assert.notEqual(of(1, 5), of(2, 5));
  const { train: count } = lists.examples;
  assert.notEqual(of(1, 5), of(1, 5 + count));
  assert.throws(
    () => maskedTask(lists, { share: 1 }),
    /^RangeError: maskedTask: expected a share above 0 and below 1, got 1$/,
  );
});

test("each sequence of a pair is an example", () => {
  const pairs = defineTask({
    ...{ name: "pairs", kind: "classify-pairs" as const, causal: false, vocabulary: 8, length: 3, classes: 2 },
    examples: { train: 4, validation: 1, test: 1 },
    example: (_, index) => ({ tokens: Int32Array.of(1, 2, 3, 4, 5, index), labels: Int32Array.of(0) }),
    describe: String,
  });
  const masked = maskedTask(pairs, { share: 0.5 });
  assert.deepEqual(masked.examples, { train: 8, validation: 2, test: 2 });
  assert.deepEqual(
    [6, 7].map((index) => [...masked.example("train", index).labels]),
    [
      [1, 2, 3],
      [4, 5, 3],
    ],
  );
});

test("a model learns what is hidden from what is not: lists by class, greys as numbers", () => {
  const words = maskedTask(copy({ length: 16, symbols: 3 }), { share: 0.2 });
  const { vocabulary, length, classes, kind } = words;
  const sizes = { vocabulary, length, width: 24, heads: 2, hidden: 48, layers: 1 };
  const named = train(fmmformer({ ...sizes, classes, kind, attention: { kind: "softmax" } }), words, {
    ...{ optimizer: adamw({ learningRate: 1e-2 }), steps: 150, batchSize: 16 },
  });
  const last = (values: readonly number[]): number => values.slice(-20).reduce((a, b) => a + b, 0) / 20;
  assert.ok(last(named.curve.loss) < 0.75 * named.curve.loss[0], `${named.curve.loss[0]} → ${last(named.curve.loss)}`);

  const images = maskedTask(digits({ side: 7 }), { share: 0.5 });
  const grey = greyLabeller({
    ...{ vocabulary: images.vocabulary, length: images.length, width: 24, heads: 2, hidden: 48, layers: 1, levels: 8 },
    attention: { kind: "fmm", bandwidth: 8 },
  });
  const seen = train(grey, images, { optimizer: adamw({ learningRate: 1e-2 }), steps: 120, batchSize: 16 });
  // Naming the mean grey errs by about 0.2.
  assert.ok(last(seen.curve.loss) < 0.14, `${last(seen.curve.loss)}`);
});

test("the loss of greys is their mean distance, over what is asked for", () => {
  const task = maskedTask(digits({ side: 4 }), { share: 0.5 });
  const model = greyLabeller({
    ...{ vocabulary: task.vocabulary, length: 16, width: 8, heads: 1, hidden: 8, layers: 1, levels: 8 },
    attention: { kind: "linear" },
  });
  const params = model.init(random.key(3));
  const batch = task.batch("train", 0, 3);
  const greys = model.apply(params, batch.tokens).data;
  let [loss, near, count] = [0, 0, 0];
  greys.forEach((grey: number, i: number) => {
    if (batch.weights!.data[i] === 0) return;
    const error = Math.abs(grey - batch.labels.data[i] / 7);
    loss += error;
    near += Number(error <= 0.05);
    count++;
  });
  const scores = model.score(params, batch);
  assert.ok(Math.abs(scores.loss.item() - loss / count) < 1e-6);
  assert.ok(Math.abs(scores.accuracy.item() - near / count) < 1e-6);
});

test("a causal task stays causal behind its mask", () => {
  assert.equal(maskedTask(copy({ length: 16 }), { share: 0.2 }).causal, true);
  assert.equal(maskedTask(switchBoard(), { share: 0.2 }).causal, false);
});

test("a causal model is asked for the next token, padding and what follows the end apart", () => {
  const next = nextTokenTask(lists);
  assert.deepEqual([next.causal, next.vocabulary, next.classes], [true, lists.vocabulary, lists.vocabulary]);
  for (let index = 0; index < 50; index++) {
    const { tokens, labels, weights, mask } = next.example("train", index);
    assert.deepEqual(tokens, lists.example("train", index).tokens);
    const count = mask!.reduce((sum, x) => sum + x, 0);
    weights!.forEach((weight, i) => {
      assert.equal(weight, Number(i + 1 < count), `${i} of ${count}`);
      if (weight === 1) assert.equal(labels[i], tokens[i + 1]);
    });
  }
});

test("of a pair each sequence is asked for its own next tokens", () => {
  const pairs = defineTask({
    ...lists,
    kind: "classify-pairs",
    length: 3,
    examples: { train: 2, validation: 2, test: 2 },
    example: () => ({
      tokens: Int32Array.of(1, 2, 3, 4, 5, 0),
      mask: Float32Array.of(1, 1, 1, 1, 1, 0),
      labels: Int32Array.of(0),
    }),
  });
  const next = nextTokenTask(pairs);
  assert.deepEqual(next.examples, { train: 4, validation: 4, test: 4 });
  const [first, second] = [next.example("test", 0), next.example("test", 1)];
  assert.deepEqual(
    [[...first.tokens], [...first.labels.subarray(0, 2)], [...first.weights!]],
    [
      [1, 2, 3],
      [2, 3],
      [1, 1, 0],
    ],
  );
  assert.deepEqual(
    [[...second.tokens], [...second.labels.subarray(0, 1)], [...second.weights!]],
    [[4, 5, 0], [5], [1, 0, 0]],
  );
  assert.equal(nextTokenTask(copy({ length: 16 })).examples.train, Infinity);
});
