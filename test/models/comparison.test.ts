import assert from "node:assert/strict";
import { test } from "node:test";
import { type Choices, configure, experiment, type RunResult } from "@fmmformer/models";
import { summary } from "../../packages/models/src/cli/comparison.ts";

/** The paper's number that stands beside a run which was configured so. */
function paperBeside(task: string, choices: Choices, changes: object = {}): number | undefined {
  const configuration = { ...configure(experiment(task), choices), ...changes };
  const { name, steps, seed } = configuration;
  const measured = { loss: 2, accuracy: 0.2 };
  const result: RunResult = {
    ...{ task, model: name, seed, parameters: 100, steps },
    ...{ best: { step: steps, ...measured }, test: measured },
    ...{ seconds: 10, tokensPerSecond: 1000, peakMemory: 2 ** 20 },
    configuration: JSON.parse(JSON.stringify(configuration)),
  };
  return summary(task, [result]).paper?.value;
}

test("the paper's number stands beside runs as in the paper, whatever their seed, files and looks", () => {
  const attention = "fmm-2-kernel-band5";
  assert.equal(paperBeside("image", { attention }), 45.1);
  assert.equal(paperBeside("image", { attention: "linear" }), 38.29);
  assert.equal(paperBeside("listops", { attention: "softmax" }), 37.1);
  assert.equal(paperBeside("image", { attention, seed: 7 }), 45.1);
  assert.equal(paperBeside("image", { attention }, { data: { train: "0badc0de" } }), 45.1);
  const looks = { every: 100, batches: 2, tests: null };
  assert.equal(paperBeside("image", { attention }, { evaluation: looks }), 45.1);
});

test("and not beside others", () => {
  const attention = "fmm-2-kernel-band5";
  for (const choices of [
    { quick: true },
    { steps: 880 },
    { batchSize: 32 },
    { learningRate: 1e-3 },
    { model: { width: 32 } },
    { bandwidth: 6 },
    { options: { seed: 1 } },
  ] as const) {
    assert.equal(paperBeside("image", { attention, ...choices }), undefined, JSON.stringify(choices));
  }
  assert.equal(paperBeside("image", { attention }, { pretraining: { steps: 10 } }), undefined, "pretrained");
  assert.equal(paperBeside("digits", { attention: "fmm" }), undefined, "a task that the paper has not");
  assert.equal(paperBeside("lm", { attention: "linear" }), undefined, "perplexity is measured otherwise");
});
