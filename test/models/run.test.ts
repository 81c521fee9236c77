import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import fs, {
  appendFileSync,
  cpSync,
  existsSync,
  mkdirSync,
  mkdtempSync,
  readdirSync,
  readFileSync,
  rmSync,
  writeFileSync,
} from "node:fs";
import { syncBuiltinESMExports } from "node:module";
import { tmpdir } from "node:os";
import { basename, join } from "node:path";
import { after, mock, test } from "node:test";
import { random } from "@fmmformer/autodiff";
import { wasm } from "@fmmformer/kernels/wasm";
import {
  adamw,
  configure,
  defineTask,
  digits,
  evaluate,
  experiment,
  type FmmformerParams,
  fmmformer,
  formatSafetensors,
  type ImageTask,
  type MetricsLine,
  oneCycle,
  type Plan,
  parseSafetensors,
  planOf,
  type Ran,
  type RunEvent,
  type RunOptions,
  readMetrics,
  readResult,
  run,
  runFiles,
  stairs,
  switchBoard,
  type Task,
  writeReport,
  writeWhole,
} from "@fmmformer/models";
import { shownOf, toldBy } from "./event-reader.ts";

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
async function stopped(
  name: string,
  at: (event: RunEvent) => boolean,
  options: Partial<RunOptions> = {},
  change: Partial<Plan<unknown>> = {},
) {
  const controller = new AbortController();
  const onEvent = (event: RunEvent): void => {
    if (at(event)) controller.abort();
  };
  return runIn(name, { signal: controller.signal, onEvent, ...options }, change);
}

const timeless = (lines: readonly MetricsLine[]) =>
  lines.map((line) => (line.kind === "step" ? { ...line, tokensPerSecond: 0, seconds: 0 } : line));
const bytesOf = (name: string, file: keyof typeof runFiles): Buffer => readFileSync(join(root, name, runFiles[file]));
/** The tensors of a file, whose metadata hold times. */
const numbersOf = (name: string, file: "checkpoint" | "best") => {
  const { tensors } = parseSafetensors(bytesOf(name, file));
  return Object.entries(tensors).map(([of, x]) => [of, Buffer.from(x.data.slice().buffer).toString("base64")]);
};

/** All files of a run, and what else there is. */
const filesOf = (name: string) =>
  readdirSync(join(root, name)).map((file) => [file, readFileSync(join(root, name, file), "base64")]);

function sameEnd(name: string, ran: Ran<unknown>, unbroken = "whole"): void {
  assert.deepEqual(numbersOf(name, "checkpoint"), numbersOf(unbroken, "checkpoint"));
  assert.deepEqual(numbersOf(name, "best"), numbersOf(unbroken, "best"));
  assert.deepEqual(timeless(ran.metrics), timeless(readMetrics(join(root, unbroken, runFiles.metrics))));
  assert.deepEqual(timeless(readMetrics(join(root, name, runFiles.metrics))), timeless(ran.metrics));
  for (const fast of [false, true]) assert.deepEqual(shownOf(join(root, name), { fast }), toldBy(ran.metrics));
  const { best, test } = readResult(join(root, unbroken)) ?? {};
  assert.deepEqual([ran.result?.best, ran.result?.test], [best, test]);
  assert.match(bytesOf(name, "report").toString(), /Tested with the parameters of step/);
}

/** The test's own task, of which a split has some examples alone. */
const having = (examples: Partial<Task["examples"]>, of: Task = task): Task =>
  defineTask({ ...of, examples: { ...of.examples, ...examples } });

/** Put another function of the file system in the place of one, until the end of what is done. */
async function withFiles<Result>(instead: Partial<Record<keyof typeof fs, unknown>>, done: () => Promise<Result>) {
  for (const [of, other] of Object.entries(instead)) mock.method(fs, of as "renameSync", other as never);
  syncBuiltinESMExports();
  try {
    return await done();
  } finally {
    mock.restoreAll();
    syncBuiltinESMExports();
  }
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

test("a run that is killed at any write of a file ends as an unbroken one", async () => {
  // The best parameters are those of step 2, which the steps behind it do not make better.
  const learningRate = stairs({ start: 1e-2, factor: 300, steps: [2] });
  const evaluation = { ...plan.evaluation, every: 2 };
  const change = { steps: 4, evaluation, learningRate, optimizer: adamw({ learningRate }) };
  const unbroken = await runIn("unbroken", {}, change);
  assert.equal(unbroken.result?.best.step, 2);
  await stopped("before", (event) => event.kind === "step" && event.step === 2, {}, change);
  const [rename, append] = [fs.renameSync, fs.appendFileSync];
  for (let last = 1, killed = true; killed; last++) {
    const name = `killed-${last}`;
    cpSync(join(root, "before"), join(root, name), { recursive: true });
    let writes = 0;
    const until =
      <Given extends unknown[]>(write: (...given: Given) => void) =>
      (...given: Given) => {
        if (++writes >= last) throw new Error("killed");
        write(...given);
      };
    const instead = { renameSync: until(rename), appendFileSync: until(append) };
    killed = await withFiles(instead, () => runIn(name, { existing: "resume" }, change)).then(
      () => false,
      (error: Error) => /killed/.test(error.message) || Promise.reject(error),
    );
    assert.ok(last < 20);
    sameEnd(name, await runIn(name, { existing: "resume" }, change), "unbroken");
    rmSync(join(root, name), { recursive: true });
  }
});

test("a run that is finished gives its result again, and touches no file", async () => {
  const before = filesOf("whole");
  const events: RunEvent[] = [];
  const again = { existing: "resume", onEvent: (event: RunEvent) => events.push(event) } as const;
  for (const signal of [AbortSignal.abort(), new AbortController().signal]) {
    const { result, step, params, metrics } = await runIn("whole", { ...again, signal });
    assert.deepEqual([result, step, metrics], [readResult(join(root, "whole")), 12, whole.metrics]);
    assert.deepEqual(JSON.stringify(params), JSON.stringify(whole.params));
  }
  assert.deepEqual([filesOf("whole"), events], [before, []]);
});

test("a report that fails loses no result, and is made where it is missing", async () => {
  const maps = () => {
    throw new Error("no maps");
  };
  const short = { steps: 2 };
  await runIn("pageless", { until: 1 }, short);
  await assert.rejects(runIn("pageless", { existing: "resume" }, { ...short, maps }), /no maps/);
  const kept = readResult(join(root, "pageless"));
  assert.equal(kept?.steps, 2);
  const { result } = await runIn("pageless", { existing: "resume" }, short);
  assert.deepEqual(result, kept);
  assert.match(bytesOf("pageless", "report").toString(), /Tested with the parameters of step 2/);
});

test("reports that are written at once to the same place do not mix", async () => {
  const path = join(root, "pages", "page.html");
  mkdirSync(join(root, "pages"));
  const report = { title: "A page", command: "", date: "", table: [], curves: [], maps: [], notes: [] };
  await Promise.all([1, 2].map(() => writeReport(path, report)));
  assert.deepEqual(readdirSync(join(root, "pages")), ["page.html"]);
});

test("a folder is one run's at a time; the lock of a process that is no more is none", async () => {
  const [out, lock] = [join(root, "locked"), join(root, "locked", "run.lock")];
  mkdirSync(out);
  writeFileSync(lock, String(process.ppid));
  await assert.rejects(runIn("locked", { existing: "anew" }), {
    name: "RunError",
    message:
      `run: expected a folder that no other process is using, got ${out}, which process ${process.ppid} is training in; ` +
      `wait for it or give another folder, or remove ${lock} where that process is something else`,
  });
  assert.deepEqual(filesOf("locked"), [["run.lock", Buffer.from(String(process.ppid)).toString("base64")]]);
  for (const gone of [spawnSync(process.execPath, ["--version"]).pid, process.pid, ""]) {
    writeFileSync(lock, String(gone));
    const both = [1, 2].map(() => runIn("locked", { existing: "anew", until: 1 }));
    const ends = await Promise.allSettled(both);
    assert.deepEqual(
      ends.map(({ status }) => status),
      ["fulfilled", "rejected"],
    );
    assert.ok(!existsSync(lock));
  }
});

test("nothing of a run is removed before the new one is known to start", async () => {
  await runIn("old", { until: 1 });
  const before = filesOf("old");
  const broken = {
    ...plan.model,
    init: () => {
      throw new RangeError("no such model");
    },
  } as Plan<unknown>["model"];
  await assert.rejects(runIn("old", { existing: "anew" }, { model: broken }), /no such model/);
  const full = { statfsSync: () => ({ bavail: 0, bsize: 4096 }) };
  await assert.rejects(
    withFiles(full, () => runIn("old", { existing: "anew" })),
    { name: "RunError", message: /run: expected \d+ MB free in .* for checkpoints, got \d+ MB; give another folder/ },
  );
  assert.deepEqual(filesOf("old"), before);
});

test("files of a run without its configuration are removed only where told", async () => {
  await runIn("nameless", { until: 1 });
  rmSync(join(root, "nameless", runFiles.configuration));
  const before = filesOf("nameless");
  for (const existing of ["refuse", "resume"] as const) {
    await assert.rejects(runIn("nameless", { existing }), {
      name: "RunError",
      message:
        `run: expected a folder without a run, got ${join(root, "nameless")}, which has metrics.jsonl but no run.json; ` +
        "give another folder, or begin it anew, which removes that",
    });
  }
  assert.deepEqual(filesOf("nameless"), before);
  assert.equal((await runIn("nameless", { existing: "anew", until: 1 })).step, 1);
});

test("a split without examples is refused before the first step", async () => {
  for (const split of ["train", "validation", "test"] as const) {
    const message = new RegExp(
      `^run: expected at least one ${split} example of switchBoard, got none; give the task another option ${split}, `,
    );
    await assert.rejects(runIn("empty", {}, { task: having({ [split]: 0 }) }), { name: "RangeError", message });
  }
  assert.ok(!existsSync(join(root, "empty")));
  assert.throws(
    () => evaluate(plan.model, whole.params, having({ test: 0 }), { batchSize: 4 }),
    /RangeError: evaluate: expected at least one test example of switchBoard, got none; /,
  );
});

test("a run goes on with the data that it began with", async () => {
  await runIn("data", { until: 1 });
  const other = { task: having({ test: 7 }) };
  await assert.rejects(runIn("data", { existing: "resume" }, other), {
    name: "CheckpointError",
    message:
      /: expected the data that .* began with, got other data \(examples\.test: "Infinity", now "7"\); give that/,
  });
  const path = join(root, "data", runFiles.checkpoint);
  const { tensors, metadata } = parseSafetensors(readFileSync(path));
  const { data: _, ...older } = JSON.parse(metadata.facts);
  writeWhole(path, formatSafetensors({ tensors, metadata: { ...metadata, facts: JSON.stringify(older) } }));
  assert.equal((await runIn("data", { existing: "resume", until: 2 }, other)).step, 2);
});

test("maps are of as many examples as the test split has, at most three", () => {
  const configuration = configure(experiment("digits"), { quick: true });
  const images = digits({ side: 7 });
  for (const [test, shown] of [
    [1, 1],
    [2000, 3],
  ]) {
    const few = having({ test }, images) as ImageTask;
    const { maps, model: watched } = planOf(configuration, few);
    const captions = maps?.(watched.init(random.key(0)) as FmmformerParams).map(({ caption }) => caption);
    assert.equal(captions?.length, shown);
  }
});

test("a disk that is full is told with what to do", async () => {
  const append = fs.appendFileSync;
  for (const file of [runFiles.metrics, "events.out.tfevents."]) {
    const name = `full-${file}`;
    const full = (path: string, data: string) => {
      if (basename(path).startsWith(file)) throw new Error("ENOSPC: no space left on device, write");
      append(path, data);
    };
    const first = withFiles({ appendFileSync: full }, () => runIn(name));
    await assert.rejects(first, ({ name: kind, message }: Error) => {
      const told = message.replace(/(tfevents\.)\d{13}/, "$1"); // its name ends with a time
      assert.deepEqual(
        [kind, told],
        [
          "RunError",
          `run: expected to write ${join(root, name, file)}, got ENOSPC: no space left on device, write; ` +
            "see to that and resume the run, which goes on from its last checkpoint",
        ],
      );
      return true;
    });
    sameEnd(name, await runIn(name, { existing: "resume" }));
  }
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
    message: /metrics: expected JSON in .*metrics\.jsonl:1, got "\{\\"kind\\""; remove that line/,
  });
  writeFileSync(path("metrics"), metrics);
  writeFileSync(path("checkpoint"), readFileSync(path("checkpoint")).subarray(0, 5000));
  await assert.rejects(runIn("damaged", { existing: "resume" }), {
    name: "CheckpointError",
    message: /to be whole, got one where .*; begin the run anew, or give another folder/,
  });
  writeFileSync(path("configuration"), "{");
  await assert.rejects(runIn("damaged", { existing: "resume" }), {
    name: "RunError",
    message: /expected JSON in .*run\.json, got a damaged file; begin the run anew/,
  });
  assert.equal((await runIn("damaged", { existing: "anew", until: 1 })).step, 1);
});

test("a run begins from parameters that it is given", async () => {
  const first = await runIn("given", {}, { params: whole.params, steps: 1 });
  const fresh = await runIn("fresh", {}, { steps: 1 });
  assert.ok(first.metrics[0].loss < fresh.metrics[0].loss);
});
