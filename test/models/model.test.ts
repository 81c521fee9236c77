import assert from "node:assert/strict";
import { test } from "node:test";
import { mul, random, sum } from "@fmmformer/autodiff";
import {
  accuracy,
  crossEntropy,
  evaluate,
  fmmformer,
  type Model,
  score,
  sgd,
  switchBoard,
  train,
} from "@fmmformer/models";

const board = switchBoard({ votes: 5, majority: 3, symbols: 8, reach: 2 });
const { vocabulary, length, classes, kind } = board;
const layer = fmmformer({ vocabulary, length, classes, kind, width: 8, layers: 1 });
type Params = ReturnType<typeof layer.init>;

test("a layer is scored by its logits", () => {
  const params = layer.init(random.key(0));
  const batch = board.batch("train", 0, 4);
  const logits = layer.apply(params, batch.tokens);
  const scores = score(layer, params, batch);
  assert.equal(scores.loss.item(), crossEntropy(logits, batch).item());
  assert.equal(scores.accuracy.item(), accuracy(logits, batch).item());
});

test("a model that scores itself is trained and measured by that", () => {
  const own: Model<Params> = {
    ...layer,
    score: (params, { tokens }, call) => {
      const y = layer.apply(params, tokens, call);
      return { loss: sum(mul(y, y)), accuracy: sum(mul(y, 0)) };
    },
  };
  const { params, curve } = train(own, board, { optimizer: sgd({ learningRate: 1e-4 }), steps: 30, batchSize: 2 });
  assert.ok(curve.loss[29] < 0.7 * curve.loss[0], `${curve.loss[0]} → ${curve.loss[29]}`);
  assert.deepEqual(new Set(curve.accuracy), new Set([0]));
  const measured = evaluate(own, params, board, { batchSize: 2, batches: 2, split: "validation" });
  const losses = [0, 1].map((at) => own.score(params, board.batch("validation", at, 2)).loss.item());
  assert.ok(Math.abs(measured.loss - (losses[0] + losses[1]) / 2) < 1e-3 * measured.loss);
});
