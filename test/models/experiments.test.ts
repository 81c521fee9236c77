import assert from "node:assert/strict";
import { test } from "node:test";
import { random, tensor } from "@fmmformer/autodiff";
import {
  type Configuration,
  configure,
  copy,
  digits,
  experiment,
  experiments,
  listOps,
  modelOptions,
  openTask,
  paperResult,
  parameterCount,
  plannedOptimizer,
  planOf,
  preset,
  presets,
  type Schedule,
} from "@fmmformer/models";

const rateAt = (configuration: Configuration, step: number): number => {
  const { learningRate } = plannedOptimizer(configuration.optimizer, configuration.steps);
  const rate = (learningRate as Schedule)(step);
  return typeof rate === "number" ? rate : rate.item();
};
const near = (x: number, y: number): void => assert.ok(Math.abs(x - y) <= 1e-9 * Math.abs(y) + 1e-15, `${x}, not ${y}`);

/** As the authors of the paper trained: steps, batch, warm-up, and how often how much of the validation split is looked at. */
const arena: { readonly [task: string]: readonly [number, number, number, number, number] } = {
  listops: [5000, 32, 1000, 50, 62],
  text: [20_000, 32, 8000, 500, 781],
  retrieval: [30_000, 32, 800, 300, 565],
  image: [35_000, 256, 175, 175, 20],
  pathfinder: [62_400, 256, 312, 312, 312],
};

for (const [task, [steps, batchSize, warmUp, every, batches]] of Object.entries(arena)) {
  test(`${task} is trained as in the paper: AdamW, one cycle`, () => {
    const run = configure(experiment(task), { attention: "softmax" });
    assert.deepEqual([run.steps, run.batchSize], [steps, batchSize]);
    assert.deepEqual(run.evaluation, { every, batches, batchSize, by: "accuracy" });
    const { rule, eps, weightDecay = 0, beta2 = 0.999, clip } = run.optimizer;
    assert.deepEqual([rule, eps, weightDecay, beta2, clip], ["adamw", 1e-6, 0, 0.999, undefined]);
    near(rateAt(run, 0), 1e-4 / 25);
    near(rateAt(run, warmUp - 1), 1e-4);
    near(rateAt(run, steps - 1), 1e-4 / 25 / 1e4);
    assert.deepEqual(run.model, preset(`${task}/softmax`));
  });
}

test("copy is trained as in the paper: RAdam, each tensor clipped, a tenth of the rate from the 3,000th update on", () => {
  const run = configure(experiment("copy"), { attention: "fmm-3-kernel-band30" });
  assert.deepEqual([run.steps, run.batchSize, run.evaluation.every, run.evaluation.batches], [10_000, 64, 100, 20]);
  const { rule, weightDecay, clip } = run.optimizer;
  assert.deepEqual([rule, weightDecay, clip], ["radam", 0.01, { each: "tensor", limit: 1 }]);
  near(rateAt(run, 2999), 1e-3);
  near(rateAt(run, 3000), 1e-4);
  assert.deepEqual(run.model, preset("copy/fmm-3-kernel-band30"));
});

test("language models are trained as in the paper: Adam, 2,000 steps of warm-up, half a wave, all gradients clipped", () => {
  const run = configure(experiment("lm"), { attention: "fmm-2-kernel-band20" });
  assert.deepEqual([run.steps, run.batchSize, run.evaluation.every], [500_000, 96, 4000]);
  const { rule, weightDecay = 0, eps = 1e-8, clip } = run.optimizer;
  assert.deepEqual([rule, weightDecay, eps, clip], ["adamw", 0, 1e-8, { each: "together", limit: 0.25 }]);
  near(rateAt(run, 999), 1.25e-4 * (1 + Math.cos((Math.PI * 999) / 500_000)) * 0.5);
  near(rateAt(run, 250_000), 1.25e-4);
  assert.ok(rateAt(run, 499_999) < 1e-14);
  const { vocabulary, classes, ...words } = preset("lm/fmm-2-kernel-band20");
  assert.deepEqual(run.model, words);
  const sized = modelOptions(run, { ...copy(), vocabulary, classes, length: 256 });
  assert.deepEqual(sized, preset("lm/fmm-2-kernel-band20"));
  assert.deepEqual(modelOptions(run, { ...copy(), vocabulary: 30_000, classes: 30_000 }).cutoffs, [20_000]);
  assert.ok(!("cutoffs" in modelOptions(run, copy())));
});

test("every preset can be chosen by its row, and is data that survives JSON", () => {
  for (const { name, task, model } of presets) {
    const row = name.slice(task.length + 1);
    const run = configure(experiment(task), { attention: row });
    assert.equal(run.name, row);
    assert.deepEqual(JSON.parse(JSON.stringify(run)), JSON.parse(JSON.stringify(run, null, 1)));
    assert.deepEqual(JSON.parse(JSON.stringify(run.model)).attention, model.attention);
    assert.deepEqual(configure(experiment(task), { preset: name }).model.attention, model.attention);
  }
});

test("gradients are clipped as planned, together or each tensor by itself", () => {
  const grads = { a: tensor([3, 4]), b: tensor([12]) };
  const schedule = { kind: "stairs", peak: 1, factor: 1, at: [1] } as const;
  for (const [each, clipped] of [
    ["together", [3 / 13, 12 / 13]],
    ["tensor", [3 / 5, 1]],
  ] as const) {
    const plan = { rule: "radam", schedule, clip: { each, limit: 1 } } as const;
    const { optimizer } = plannedOptimizer(plan, 1);
    // The first update of RAdam is the gradient itself.
    const [{ a, b }] = optimizer.update(grads, optimizer.init(grads), grads);
    [-a.data[0], -b.data[0]].forEach((x, i) => {
      assert.ok(Math.abs(x - clipped[i]) < 1e-5, `${each}: ${x}`);
    });
  }
});

test("a shorter run warms up and is looked at for as large a part of it", () => {
  const run = configure(experiment("listops"), { steps: 50 });
  assert.deepEqual(run.optimizer.schedule, { kind: "one-cycle", peak: 1e-4, warmUp: 10 });
  assert.equal(run.evaluation.every, 1);
  const short = configure(experiment("copy"), { steps: 100, learningRate: 0.5 });
  assert.deepEqual(short.optimizer.schedule, { kind: "stairs", peak: 0.5, factor: 0.1, at: [30] });
  assert.equal(short.evaluation.every, 1);
});

test("what is chosen is taken over", () => {
  const run = configure(experiment("digits"), {
    ...{ attention: "band", bandwidth: 7, seed: 4, batchSize: 2, options: { side: 4 }, model: { width: 16 } },
    evaluation: { every: 3 },
  });
  assert.deepEqual(run.model.attention, { bandwidth: 7, kind: "band" });
  assert.deepEqual([run.seed, run.batchSize, run.evaluation.every, run.model.width], [4, 2, 3, 16]);
  assert.deepEqual([run.task, run.name], [{ name: "digits", options: { side: 4 } }, "band-bandwidth-7"]);
  const kernels = configure(experiment("listops"), { attention: "linear", kernels: ["elu", "tanh"] });
  assert.deepEqual(kernels.model.attention, { kind: "linear", kernels: ["elu", "tanh"], normalizer: "lra" });
  assert.equal(kernels.name, "linear-elu-tanh");
  assert.equal(configure(experiment("image")).name, "fmm-2-kernel-band5");
  assert.deepEqual(configure(experiment("image"), { attention: "fast-weight" }).model.attention, {
    ...{ kind: "fast-weight", bandwidth: 5, dropout: 0.1 },
  });
  const other = configure(experiment("listops"), { preset: "text/fmm-1-kernel-band5" });
  assert.deepEqual([other.name, other.model.length], ["text-fmm-1-kernel-band5", 2048]);
});

test("names that are not known are refused with the nearest", () => {
  assert.throws(() => experiment("listop"), /experiment: expected task .*, got "listop"; did you mean listops/);
  assert.throws(() => configure(experiment("digits"), { attention: "fm" }), /got "fm"; did you mean fmm/);
  assert.throws(() => configure(experiment("digits"), { preset: "listops/fmm" }), /preset: expected name/);
});

for (const task of ["listops", "copy", "digits", "switch-board"]) {
  test(`the quick ${task} fits its model, whatever the attention`, async () => {
    const own = experiment(task);
    const opened = await openTask(task, configure(own, { quick: true }).task.options);
    for (const attention of new Set([...Object.keys(own.attentions), "softmax", "linear", "band", "fmm"])) {
      const run = configure(own, { attention, quick: true, model: { layers: 1 } });
      const plan = planOf(run, opened);
      const params = plan.model.init(random.key(0));
      assert.ok(parameterCount(params) > 1000);
      const { tokens, mask } = plan.task.batch("train", 0, 2);
      assert.equal(plan.model.apply(params, tokens, { mask }).shape[0], 2);
    }
  });
}

test("an experiment is no larger when it is quick", () => {
  for (const own of experiments) {
    const [quick, whole] = [configure(own, { quick: true }), configure(own)];
    assert.ok(quick.steps < whole.steps && quick.batchSize <= whole.batchSize, own.task);
    assert.ok(quick.evaluation.every <= quick.steps);
  }
});

test("with files, an experiment's options for making examples go, and those that are chosen stay", () => {
  const options = (task: string, choices: object) =>
    configure(experiment(task), { quick: true, ...choices }).task.options;
  assert.deepEqual(options("listops", {}), { size: "medium" });
  assert.deepEqual(options("listops", { files: true, options: { maxLength: 500 } }), { maxLength: 500 });
  assert.deepEqual(options("pathfinder", { files: true }), {});
  assert.deepEqual(options("text", { files: true, options: { seed: 3 } }), { maxLength: 256, seed: 3 });
});

test("a model grows with its task, and one of another kind is refused", () => {
  const run = configure(experiment("listops"), { model: { length: 64 } });
  const { length, vocabulary, classes } = modelOptions(run, listOps({ minLength: 60, maxLength: 100 }));
  assert.deepEqual([length, vocabulary, classes], [128, 32, 10]);
  const many = modelOptions(run, { ...listOps({ minLength: 60, maxLength: 100 }), vocabulary: 40, classes: 12 });
  assert.deepEqual([many.vocabulary, many.classes], [40, 12]);
  const labels = configure(experiment("copy"), { model: { kind: "classify" } });
  assert.throws(() => modelOptions(labels, copy()), /expected a model of kind label-tokens for copy, got classify/);
});

test("attention of one's own is taken as it is, or made for the model's sizes", () => {
  const attention = { module: "./mine/my-attention.ts", digest: "1" };
  const run = configure(experiment("digits"), { attention });
  assert.equal(run.name, "my-attention");
  const task = digits({ side: 4 });
  const own = { init: () => ({}), apply: (_: unknown, __: unknown, ___: unknown, v: never) => v };
  assert.equal(modelOptions(run, task, own).attention, own);
  modelOptions(run, task, (sizes) => {
    assert.deepEqual(sizes, { width: 24, heads: 2, headWidth: 12, causal: false });
    return own;
  });
  assert.throws(
    () => modelOptions(run, task),
    /experiment: expected the attention of \.\/mine\/my-attention\.ts, got none/,
  );
});

test("what the paper reports is beside its own rows alone", () => {
  assert.deepEqual(paperResult("image", "band5"), { measure: "accuracy", value: 43.33 });
  assert.deepEqual(paperResult("lm", "fmm-2-kernel-band20"), { measure: "perplexity", value: 36.11 });
  assert.equal(paperResult("digits", "band5"), null);
  assert.equal(paperResult("image", "fast-weight"), null);
  // The averages that the abstract states.
  const average = (row: string): number =>
    Object.keys(arena).reduce((sum, task) => sum + (paperResult(task, row)?.value ?? Number.NaN), 0) / 5;
  assert.equal(average("softmax").toFixed(2), "58.70");
  assert.equal(average("fmm-2-kernel-band5").toFixed(2), "60.74");
});
