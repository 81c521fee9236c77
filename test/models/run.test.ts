import assert from "node:assert/strict";
import { appendFileSync, existsSync, mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { wasm } from "@fmmformer/kernels/wasm";
import {
  adamw,
  fmmformer,
  type MetricsLine,
  oneCycle,
  type Plan,
  parseSafetensors,
  type Ran,
  type RunEvent,
  type RunOptions,
  readMetrics,
  readResult,
  run,
  runFiles,
  stairs,
  switchBoard,
} from "@fmmformer/models";

const root = mkdtempSync(join(tmpdir(), "fmmformer-"));
after(() => rmSync(root, { recursive: true }));

const task = switchBoard({ votes: 5, majority: 3, symbols: 8, reach: 2 });
const { vocabulary, length, classes, kind } = task;
const model = fmmformer({
  ...{ vocabulary, length, classes, kind, width: 8, hidden: 16, layers: 1, dropout: 0.1 },
  attention: { kind: "fmm", bandwidth: 3 },
});
const rates = oneCycle({ peak: 1e-2, steps: 12, warmUp: 4 });
const plan: Plan<unknown> = {
  task,
  model: model as Plan<unknown>["model"],
  name: "fmm",
  optimizer: adamw({ ...rates }),
  learningRate: rates.learningRate,
  steps: 12,
  batchSize: 4,
  seed: 5,
  evaluation: { every: 4, batches: 2, batchSize: 4, tests: 3 },
  configuration: { task: "switch-board", peak: 0.01 },
  command: "fmmformer train <switch-board>",
};
const engine = wasm();
const runIn = (name: string, options: Partial<RunOptions> = {}, change: Partial<Plan<unknown>> = {}) =>
  run({ ...plan, ...change }, { out: join(root, name), engine, ...options });

/** Stop at the first event that a test is looking for. */
async function stopped(name: string, at: (event: RunEvent) => boolean, options: Partial<RunOptions> = {}) {
  const controller = new AbortController();
  const onEvent = (event: RunEvent): void => {
    if (at(event)) controller.abort();
  };
  return runIn(name, { signal: controller.signal, onEvent, ...options });
}

const timeless = (lines: readonly MetricsLine[]) =>
  lines.map((line) => (line.kind === "step" ? { ...line, tokensPerSecond: 0, seconds: 0 } : line));
const bytesOf = (name: string, file: keyof typeof runFiles): Buffer => readFileSync(join(root, name, runFiles[file]));
/** The tensors of a file, whose metadata hold times. */
const numbersOf = (name: string, file: "checkpoint" | "best") => {
  const { tensors } = parseSafetensors(bytesOf(name, file));
  return Object.entries(tensors).map(([of, x]) => [of, Buffer.from(x.data.slice().buffer).toString("base64")]);
};

function sameEnd(name: string, ran: Ran<unknown>): void {
  assert.deepEqual(numbersOf(name, "checkpoint"), numbersOf("whole", "checkpoint"));
  assert.deepEqual(numbersOf(name, "best"), numbersOf("whole", "best"));
  assert.deepEqual(timeless(ran.metrics), timeless(readMetrics(join(root, "whole", runFiles.metrics))));
  assert.deepEqual(ran.result?.test, readResult(join(root, "whole"))?.test);
}

const whole = await runIn("whole");

test("a run leaves metrics, the last and the best parameters, a report and its result", () => {
  const lines = readMetrics(join(root, "whole", runFiles.metrics));
  assert.deepEqual(lines, whole.metrics);
  const of = (kind: MetricsLine["kind"]) => lines.filter((line) => line.kind === kind).map(({ step }) => step);
  assert.deepEqual(
    of("step"),
    Array.from({ length: 12 }, (_, i) => i + 1),
  );
  assert.deepEqual(of("validation"), [4, 8, 12]);
  assert.deepEqual(of("test"), [12]);
  const [first] = lines;
  assert.ok(first.kind === "step" && Math.abs(first.learningRate - 1e-2 / 25) < 1e-12);
  const result = readResult(join(root, "whole"));
  assert.deepEqual(result, JSON.parse(JSON.stringify(whole.result)));
  const losses = lines.filter((line) => line.kind === "validation").map(({ loss }) => loss);
  assert.equal(result?.best.loss, Math.min(...losses));
  assert.ok(result && result.peakMemory > 1e7 && result.tokensPerSecond > 0 && result.seconds > 0);
  const page = bytesOf("whole", "report").toString();
  assert.match(page, /fmmformer train &lt;switch-board&gt;/);
  assert.match(page, /rings: validation/);
});

test("the test split is measured with the best parameters, not the last", async () => {
  const learningRate = stairs({ start: 1e-2, factor: 300, steps: [4] });
  const { metrics, result } = await runIn("steep", {}, { learningRate, optimizer: adamw({ learningRate }) });
  const losses = metrics.filter((line) => line.kind === "validation").map(({ loss }) => loss);
  assert.ok(losses[0] < losses[1] && losses[0] < losses[2], losses.join());
  assert.equal(result?.best.step, 4);
  const short = await runIn("short", {}, { steps: 4, learningRate, optimizer: adamw({ learningRate }) });
  assert.deepEqual(numbersOf("steep", "best"), numbersOf("short", "best"));
  assert.deepEqual(result?.test, short.result?.test);
});

test("the best parameters are those of the least loss, or of the most accuracy where told, the first of equals", async () => {
  const { metrics, result } = await runIn("accuracy", {}, { evaluation: { ...plan.evaluation, by: "accuracy" } });
  const validations = metrics.filter((line) => line.kind === "validation");
  const most = Math.max(...validations.map(({ accuracy }) => accuracy));
  assert.equal(result?.best.step, validations.find(({ accuracy }) => accuracy === most)?.step);
});

test("a run that is stopped behind any step goes on, and ends with the bits of an unbroken one", async () => {
  for (const step of [1, 3, 4, 7, 12]) {
    const name = `stopped-${step}`;
    const half = await stopped(name, (event) => event.kind === "step" && event.step === step);
    assert.deepEqual([half.result, half.step], [null, step]);
    assert.equal(readResult(join(root, name)), null);
    assert.match(bytesOf(name, "report").toString(), new RegExp(`Stopped after ${step} of 12 steps`));
    sameEnd(name, await runIn(name, { existing: "resume", engine: wasm({ threads: step === 7 ? 2 : 1 }) }));
  }
});

test("a run goes until a step, which changes nothing of the whole run: not the rates, not when it is looked at", async () => {
  const first = await runIn("until", { until: 6 });
  assert.deepEqual([first.result, first.step], [null, 6]);
  const of = ({ metrics }: Ran<unknown>) => metrics.filter(({ kind }) => kind === "validation").map(({ step }) => step);
  assert.deepEqual(of(first), [4]);
  const none = await runIn("until", { until: 5, existing: "resume" });
  assert.deepEqual([none.result, none.step], [null, 6]);
  const second = await runIn("until", { until: 8, existing: "resume" });
  assert.deepEqual([second.step, of(second)], [8, [4, 8]]);
  sameEnd("until", await runIn("until", { until: 100, existing: "resume" }));
  await assert.rejects(
    runIn("until", { until: 0, existing: "anew" }),
    /run: expected until to be an integer ≥ 1, got 0/,
  );
});

test("a run that is stopped while it measures goes on likewise", async () => {
  for (const split of ["validation", "test"]) {
    const half = await stopped(split, (event) => event.kind === "measuring" && event.split === split);
    assert.equal(half.result, null);
    assert.ok(!half.metrics.some((line) => line.kind === split));
    sameEnd(split, await runIn(split, { existing: "resume" }));
  }
});

test("a run that was killed goes on from its last checkpoint: what came after it is dropped", async () => {
  await stopped("killed", (event) => event.kind === "step" && event.step === 9);
  const metrics = join(root, "killed", runFiles.metrics);
  const after = (step: number) => ({ kind: "step", step, loss: 7, accuracy: 7, learningRate: 7, tokensPerSecond: 7 });
  appendFileSync(metrics, `${JSON.stringify(after(10))}\n${JSON.stringify(after(11))}\n{"kind":"st`);
  sameEnd("killed", await runIn("killed", { existing: "resume" }));
});

test("a run that ended before its first checkpoint begins again", async () => {
  await stopped("early", (event) => event.kind === "step");
  rmSync(join(root, "early", runFiles.checkpoint));
  sameEnd("early", await runIn("early", { existing: "resume" }));
});

test("a folder that holds a run is not overwritten unless told", async () => {
  const before = bytesOf("whole", "checkpoint");
  const out = join(root, "whole");
  await assert.rejects(runIn("whole"), {
    name: "RunError",
    message: `run: expected a folder without a run, got ${out}, which has one; resume it, or begin it anew`,
  });
  await assert.rejects(runIn("whole", { existing: "resume" }, { configuration: { task: "digits", peak: 0.01 } }), {
    name: "CheckpointError",
    message: /got another one \(task: "switch-board", now "digits"\); give the same options/,
  });
  assert.deepEqual(bytesOf("whole", "checkpoint"), before);
  await stopped("anew", (event) => event.kind === "step" && event.step === 6);
  const { metrics } = await runIn("anew", { existing: "anew" });
  sameEnd("anew", { ...whole, metrics });
});

test("what cannot be run is refused before it starts", async () => {
  const file = join(root, "file");
  writeFileSync(file, "");
  await assert.rejects(runIn("file/run"), {
    name: "RunError",
    message: /run: expected a folder that can be written, got .*; give another/,
  });
  await assert.rejects(runIn("bad", {}, { evaluation: { ...plan.evaluation, every: 0 } }), {
    name: "RangeError",
    message: "run: expected every to be an integer ≥ 1, got 0",
  });
  assert.ok(!existsSync(join(root, "bad")));
});

test("damaged files are named", async () => {
  await stopped("damaged", (event) => event.kind === "step" && event.step === 2);
  const path = (of: keyof typeof runFiles) => join(root, "damaged", runFiles[of]);
  const metrics = readFileSync(path("metrics"), "utf8");
  writeFileSync(path("metrics"), `{"kind"\n${metrics}`);
  await assert.rejects(runIn("damaged", { existing: "resume" }), {
    name: "RunError",
    message: /metrics: expected JSON in .*metrics\.jsonl:1, got "\{\\"kind\\""/,
  });
  writeFileSync(path("metrics"), metrics);
  writeFileSync(path("checkpoint"), readFileSync(path("checkpoint")).subarray(0, 5000));
  await assert.rejects(runIn("damaged", { existing: "resume" }), { name: "CheckpointError" });
  writeFileSync(path("configuration"), "{");
  await assert.rejects(runIn("damaged", { existing: "resume" }), { name: "RunError", message: /expected JSON/ });
});

test("a run begins from parameters that it is given", async () => {
  const first = await runIn("given", {}, { params: whole.params, steps: 1 });
  const fresh = await runIn("fresh", {}, { steps: 1 });
  assert.ok(first.metrics[0].loss < fresh.metrics[0].loss);
});
