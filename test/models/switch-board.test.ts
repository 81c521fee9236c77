import assert from "node:assert/strict";
import { test } from "node:test";
import {
  type AttentionKind,
  adamw,
  chain,
  clipByGlobalNorm,
  cosine,
  evaluate,
  fmmformer,
  switchBoard,
  train,
  warmUp,
} from "@fmmformer/models";

const task = switchBoard();

/** The test accuracy of a small model whose attention is of a kind. */
function trained(kind: AttentionKind, steps: number): number {
  const { vocabulary, length, classes } = task;
  const model = fmmformer({
    ...{ vocabulary, length, classes, kind: task.kind, width: 24, hidden: 48, positions: "none" },
    attention: { kind, bandwidth: 3, relativeBias: true },
  });
  const learningRate = warmUp(20, cosine({ peak: 1e-2, steps }));
  const optimizer = chain(clipByGlobalNorm(1), adamw({ learningRate, beta2: 0.98 }));
  const { params } = train(model, task, { optimizer, steps, batchSize: 32 });
  return evaluate(model, params, task, { batchSize: 100, batches: 4 }).accuracy;
}

test("with both fields a model learns the switch-board", () => {
  const accuracy = trained("fmm", 120);
  assert.ok(accuracy >= 0.95, `${accuracy}`);
});

test("with the band alone it sees the symbol before, but no vote", () => {
  const accuracy = trained("band", 80);
  assert.ok(accuracy > 0.4 && accuracy <= 0.55, `${accuracy}`);
});

test("with the far field alone it sees the votes, but no order", () => {
  const accuracy = trained("linear", 50);
  assert.ok(accuracy > 0.1 && accuracy <= 0.3, `${accuracy}`);
});
