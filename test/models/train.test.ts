import assert from "node:assert/strict";
import { test } from "node:test";
import { flatten, type Tensor } from "@fmmformer/autodiff";
import { adamw, defineTask, evaluate, fmmformer, switchBoard, type Task, train } from "@fmmformer/models";

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
