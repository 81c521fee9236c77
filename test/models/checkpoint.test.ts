import assert from "node:assert/strict";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { flatten, random } from "@fmmformer/autodiff";
import { wasm } from "@fmmformer/kernels/wasm";
import {
  adamw,
  chain,
  clipByGlobalNorm,
  differences,
  fmmformer,
  oneCycle,
  openCheckpoint,
  radam,
  readCheckpoint,
  switchBoard,
  type TrainState,
  train,
  writeCheckpoint,
} from "@fmmformer/models";

const folder = mkdtempSync(join(tmpdir(), "fmmformer-"));
after(() => rmSync(folder, { recursive: true }));
const path = join(folder, "checkpoint.safetensors");

const task = switchBoard({ votes: 5, majority: 3, symbols: 8, reach: 2 });
const { vocabulary, length, classes, kind } = task;
const sizes = { vocabulary, length, classes, kind, width: 16, hidden: 32, layers: 1, dropout: 0.2 };
const model = fmmformer({ ...sizes, attention: { kind: "fmm", bandwidth: 3, dropout: 0.1 } });
const optimizers = {
  adamw: chain(clipByGlobalNorm(1), adamw({ ...oneCycle({ peak: 1e-2, steps: 8, warmUp: 3 }), eps: 1e-6 })),
  radam: radam({ learningRate: 1e-2 }),
};
const bits = (tree: unknown): string[] =>
  flatten(tree).leaves.map((x) =>
    typeof x === "number" ? `${x}` : Buffer.from(x.data.slice().buffer).toString("base64"),
  );
const configuration = { task: "switch-board", optimizer: { name: "adamw", peak: 0.01 }, layers: [1, 2] };

for (const threads of [1, 2]) {
  const engine = wasm({ threads });
  for (const [name, optimizer] of Object.entries(optimizers)) {
    test(`a resumed run equals an unbroken one, bit for bit: ${name}, ${threads} thread${threads > 1 ? "s" : ""}, dropout`, () => {
      const options = { optimizer, batchSize: 4, seed: 3, engine };
      const states: TrainState<unknown>[] = [];
      const whole = train(model, task, {
        ...options,
        steps: 8,
        onStep: (step, _, state) => {
          if (step === 3) states.push(state());
        },
      });
      const first = train(model, task, { ...options, steps: 3 });
      assert.deepEqual(bits(states[0]), bits(first.state), "a state read on the way is that of a shorter run");
      const best = { step: 2, loss: 0.5, accuracy: 0.25 };
      writeCheckpoint(path, { state: first.state, configuration, best, seconds: 1.5 });
      const like = model.init(random.key(9));
      const read = readCheckpoint(path, { params: like, optimizer: optimizer.init(like), configuration });
      assert.deepEqual([read.best, read.seconds, read.state.step], [best, 1.5, 3]);
      const second = train(model, task, { ...options, steps: 8, start: read.state });
      assert.deepEqual(second.curve.steps, [4, 5, 6, 7, 8]);
      assert.deepEqual(second.curve.loss, whole.curve.loss.slice(3));
      assert.deepEqual(bits(second.state), bits(whole.state));
    });
  }
}

test("a run that has no steps left gives what it was given, and one with too many is refused", () => {
  const options = { optimizer: optimizers.radam, batchSize: 4 };
  const { state } = train(model, task, { ...options, steps: 2 });
  assert.deepEqual(bits(train(model, task, { ...options, steps: 2, start: state }).state), bits(state));
  assert.throws(() => train(model, task, { ...options, steps: 1, start: state }), {
    name: "RangeError",
    message: "train: expected a start of at most 1 steps, got 2",
  });
});

test("a checkpoint of another configuration is refused with what differs", () => {
  const { state } = train(model, task, { optimizer: optimizers.radam, batchSize: 4, steps: 1 });
  writeCheckpoint(path, { state, configuration, best: null, seconds: 0 });
  const expected = { params: state.params, optimizer: state.optimizer };
  const other = { task: "switch-board", optimizer: { name: "adamw", peak: 0.1 }, layers: [1] };
  assert.throws(() => readCheckpoint(path, { ...expected, configuration: other }), {
    name: "CheckpointError",
    message:
      `checkpoint: expected ${path} to be of this configuration, got another one ` +
      "(optimizer.peak: 0.01, now 0.1; layers.1: 2, now absent); give the options that it began with, or another folder",
  });
  assert.equal(openCheckpoint(path).facts.best, null);
});

test("a checkpoint that is cut short, of other shapes or something else is refused", () => {
  const { state } = train(model, task, { optimizer: optimizers.radam, batchSize: 4, steps: 1 });
  writeCheckpoint(path, { state, configuration, best: null, seconds: 0 });
  const expected = { params: state.params, optimizer: state.optimizer, configuration };
  const whole = readFileSync(path);
  assert.throws(
    () => readCheckpoint(path, { ...expected, params: { ...state.params, more: state.step } }),
    /checkpoint: expected .* to be whole, got one where fromNamedTensors: expected a tensor params\.more, got none; begin the run anew, or/,
  );
  for (const cut of [4, 100, whole.length - 1]) {
    writeFileSync(path, whole.subarray(0, cut));
    assert.throws(() => readCheckpoint(path, expected), { name: "CheckpointError" }, `${cut}`);
  }
  assert.throws(() => readCheckpoint(join(folder, "none"), expected), {
    name: "CheckpointError",
    message:
      /checkpoint: expected a file at .*none, got ENOENT.*; a run has its best parameters from its first validation on: train on with --resume, or begin it anew/,
  });
});

test("differences are told by place, absent ones too, and equal ones not", () => {
  assert.deepEqual(
    differences({ a: [1, { b: 2 }], c: null, e: [] }, { a: [1, { b: 2 }], c: null, d: undefined, e: [] }),
    [],
  );
  assert.deepEqual(differences({ a: 1 }, { a: "1", b: {} }), ['a: 1, now "1"', "b: absent, now {}"]);
});
