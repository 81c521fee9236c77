import assert from "node:assert/strict";
import { test } from "node:test";
import { broadcastTo, flatten, full, mean, mul, type Tensor } from "@fmmformer/autodiff";
import {
  type Attention,
  adamw,
  defineTask,
  evaluate,
  fmmformer,
  switchBoard,
  type Task,
  train,
} from "@fmmformer/models";

const board = switchBoard({ votes: 5, majority: 3, symbols: 8, reach: 2 });
const { vocabulary, length, classes, kind } = board;
const sizes = { vocabulary, length, classes, kind, width: 16, hidden: 32, layers: 1 };
const model = fmmformer({ ...sizes, attention: { kind: "fmm", bandwidth: 3, relativeBias: true } });
const eight: Task = defineTask({
  ...board,
  examples: { train: 8, validation: 8, test: 8 },
  example: (_, index) => board.example("train", index % 8),
});
const options = { optimizer: adamw({ learningRate: 1e-2 }), batchSize: 8 };

test("training overfits eight examples", () => {
  const { params, curve } = train(model, eight, { ...options, steps: 120 });
  assert.ok(curve.loss[0] > 1.5, `${curve.loss[0]}`);
  const { loss, accuracy } = evaluate(model, params, eight, { batchSize: 4 });
  assert.ok(loss < 0.1 && accuracy === 1, `loss ${loss}, accuracy ${accuracy}`);
});

test("attention of a user's own trains in a model of any kind, its parameters with it", () => {
  // Each token takes the mean of all values, by a learned gain for each head.
  const own: Attention<{ readonly gain: Tensor }> = {
    init: () => ({ gain: full([2, 1, 1], 0.5) }),
    apply: ({ gain }, _, __, v) => mul(gain, broadcastTo(mean(v, { axis: -2, keepDims: true }), v.shape)),
  };
  for (const task of [board, ...["classify", "classify-pairs"].map((each) => votes(each as "classify"))]) {
    const made = fmmformer({
      ...{ vocabulary: task.vocabulary, length: task.length, classes: task.classes, kind: task.kind },
      ...{ width: 16, hidden: 16, layers: 1, heads: 2, attention: own },
    });
    const { params, curve } = train(made, task, { ...options, steps: 120 });
    assert.ok(curve.loss[119] < 0.8 * curve.loss[0], `${task.kind}: ${curve.loss[0]} → ${curve.loss[119]}`);
    const { gain } = params.encoder.blocks[0].attention.attention as { readonly gain: Tensor };
    assert.deepEqual(gain.shape, [2, 1, 1]);
    assert.ok(
      gain.data.some((x) => Math.abs(x - 0.5) > 1e-3),
      `${gain}`,
    );
  }
});

/** Which of two symbols there is more of; of a pair, in both sequences together. */
function votes(asked: "classify" | "classify-pairs"): Task {
  return defineTask({
    ...{ name: "votes", kind: asked, causal: false, vocabulary: 2, length: 5, classes: 2, describe: () => "" },
    examples: { train: Infinity, validation: 8, test: 8 },
    example(_, index) {
      const count = asked === "classify" ? 5 : 10;
      const tokens = Int32Array.from({ length: count }, (__, i) => ((index * 2654435761) >>> (7 + i)) & 1);
      const ones = tokens.reduce((a, x) => a + x, 0);
      return { tokens, labels: Int32Array.of(Number(2 * ones > count)) };
    },
  });
}

test("the same seed gives the same parameters, bit for bit, and another one others", () => {
  const bits = (seed: number): string => {
    const { params } = train(model, board, { ...options, steps: 3, seed });
    return flatten(params)
      .leaves.map((x) => Buffer.from((x as Tensor).data.buffer).toString("base64"))
      .join();
  };
  assert.equal(bits(1), bits(1));
  assert.notEqual(bits(1), bits(2));
});

test("every step reports what it did, in order", () => {
  const seen: number[] = [];
  const { curve } = train(model, board, { ...options, steps: 3, onStep: (step) => seen.push(step) });
  assert.deepEqual(seen, [1, 2, 3]);
  assert.deepEqual(curve.steps, seen);
});

test("what cannot be trained or measured is refused", () => {
  assert.throws(() => train(model, board, { ...options, steps: 0 }), {
    name: "RangeError",
    message: "train: expected steps to be an integer ≥ 1, got 0",
  });
  const endless = { ...options, steps: 4, optimizer: adamw({ learningRate: Number.NaN }) };
  assert.throws(() => train(model, board, endless), /train: expected a finite loss, got NaN at step 2; lower/);
  const { params } = train(model, board, { ...options, steps: 1 });
  assert.throws(() => evaluate(model, params, board, { batchSize: 4 }), /evaluate: expected a number of batches/);
});
