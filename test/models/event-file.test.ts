import assert from "node:assert/strict";
import { readFileSync, renameSync, rmSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  adamw,
  eventRecord,
  fmmformer,
  type Plan,
  type RunOptions,
  readMetrics,
  run,
  runFiles,
  switchBoard,
} from "@fmmformer/models";
import * as fc from "fast-check";
import { crc32c } from "../../packages/models/src/files/crc32c.ts";
import { eventFiles } from "../../packages/models/src/training/event-file.ts";
import { folder } from "./data/folder.ts";
import { castagnoli, eventFilesOf, parseEvents, type ReadEvent, shownOf, toldBy } from "./event-reader.ts";

const ascii = (text: string): Uint8Array => new TextEncoder().encode(text);

const task = switchBoard({ votes: 5, majority: 3, symbols: 8, reach: 2 });
const { vocabulary, length, classes, kind } = task;
const plan: Plan<unknown> = {
  task,
  model: fmmformer({
    ...{ vocabulary, length, classes, kind, width: 8, hidden: 8, layers: 1 },
    attention: { kind: "band", bandwidth: 3 },
  }) as Plan<unknown>["model"],
  name: "band",
  optimizer: adamw({ learningRate: 1e-2 }),
  learningRate: 1e-2,
  steps: 6,
  batchSize: 4,
  seed: 5,
  evaluation: { every: 2, batches: 2, batchSize: 4, tests: 2 },
  configuration: { task: "switch-board" },
};
const runIn = (out: string, options: Partial<RunOptions> = {}) => run(plan, { out, ...options });
const eventsIn = (out: string): ReadEvent[][] =>
  eventFilesOf(out).map((name) => parseEvents(readFileSync(join(out, name))));
const heads = (out: string) =>
  eventsIn(out).map((events) =>
    events.filter(({ values }) => values.length === 0).map(({ wallTime, ...head }) => head),
  );
const steps = (out: string) =>
  eventsIn(out).map((events) => events.filter(({ values }) => values.length > 0).map(({ step }) => step));
const first = { step: 0, version: "brain.Event:2", values: [] };
const start = (step: number) => ({ step, session: 1, values: [] });
const told = (out: string) => toldBy(readMetrics(join(out, runFiles.metrics)));
const timeOf = (name: string) => Number(/^events\.out\.tfevents\.(\d{13})$/.exec(name)?.[1]);

test("checks are CRC-32C", () => {
  const known: [Uint8Array, number][] = [
    [ascii(""), 0],
    [ascii("123456789"), 0xe3069283],
    [new Uint8Array(32), 0x8a9136aa],
    [new Uint8Array(32).fill(255), 0x62a8ab43],
    [Uint8Array.from({ length: 32 }, (_, i) => i), 0x46dd794e],
  ];
  for (const [bytes, crc] of known) assert.deepEqual([crc32c(bytes), castagnoli(bytes)], [crc, crc]);
  fc.assert(fc.property(fc.uint8Array(), (bytes) => crc32c(bytes) === castagnoli(bytes)));
});

test("a record has the bytes of TensorBoard's own writer", () => {
  const hex = (bytes: Uint8Array): string => Buffer.from(bytes).toString("hex");
  // By tensorboard 2.21.0: RecordWriter of event_pb2.Event.
  assert.equal(
    hex(eventRecord({ "train/loss": 0.1, "train/accuracy": NaN }, { step: 300, wallTime: 1.5 })),
    "3800000000000000a3797d5709000000000000f83f10ac022a2a0a110a0a747261696e2f6c6f737315cdcccc3d" +
      "0a150a0e747261696e2f6163637572616379150000c07fde3384b9",
  );
  assert.equal(
    hex(eventRecord("start", { step: 301, wallTime: 1.5 })),
    "100000000000000095fbfe1809000000000000f83f10ad023a020801d17949d4",
  );
});

test("events are read back: tags of any length, NaN and ±∞, steps of more than 32 bits", () => {
  const tag = fc.string({ unit: "binary", maxLength: 200 }).filter((name) => name !== "__proto__");
  const step = fc.oneof(fc.nat(300), fc.maxSafeNat());
  fc.assert(
    fc.property(fc.dictionary(tag, fc.float(), { minKeys: 1 }), step, fc.double(), (values, step, wallTime) => {
      const [read, ...more] = parseEvents(eventRecord(values, { step, wallTime }));
      assert.deepEqual(read, { wallTime, step, values: Object.entries(values) });
      assert.deepEqual(more, []);
    }),
  );
  assert.deepEqual(parseEvents(eventRecord("version", { step: 0, wallTime: 7 })), [{ wallTime: 7, ...first }]);
});

test("a record of another step than an integer ≥ 0, or of another word, is refused", () => {
  for (const step of [-1, 1.5, 2 ** 53, NaN, Infinity]) {
    const message = `eventRecord: expected step to be an integer ≥ 0, got ${step}`;
    assert.throws(() => eventRecord("start", { step, wallTime: 7 }), { name: "RangeError", message });
  }
  for (const content of ["stop", null]) {
    assert.throws(() => eventRecord(content as never, { step: 1, wallTime: 7 }), {
      name: "TypeError",
      message: `eventRecord: expected "version", "start" or numbers by their tags, got ${JSON.stringify(content)}`,
    });
  }
});

test("a run's event file tells what its metrics tell, at any time, one event for each line", async () => {
  const out = folder();
  const began = Date.now() / 1000;
  const same = () => assert.deepEqual(shownOf(out), told(out));
  const { metrics } = await runIn(out, { onEvent: same });
  assert.deepEqual(heads(out), [[first, start(1)]]);
  const [[version, begin, ...events]] = eventsIn(out);
  assert.deepEqual(
    events.map(({ step, values }) => [step, values.map(([tag]) => tag).join()]),
    metrics.map(({ kind, step }) => [
      step,
      kind === "step"
        ? "train/loss,train/accuracy,train/learningRate,train/tokensPerSecond"
        : `${kind}/loss,${kind}/accuracy`,
    ]),
  );
  same();
  const named = timeOf(eventFilesOf(out)[0]) / 1000;
  const times = [began, named, ...[version, begin, ...events].map(({ wallTime }) => wallTime)];
  assert.ok(
    times.every((time, i) => i === 0 || time >= times[i - 1]),
    times.join(),
  );
});

test("a run that goes on begins another file, which says from which step, and leaves those before as they were", async () => {
  const out = folder();
  await runIn(out, { until: 3 });
  const [name] = eventFilesOf(out);
  // As if killed behind step 5: two steps that the checkpoint does not know.
  const later = [4, 5].map((step) => eventRecord({ "train/loss": 7 }, { step, wallTime: 7 }));
  const before = Buffer.concat([readFileSync(join(out, name)), ...later]);
  writeFileSync(join(out, name), before);
  for (const until of [3, 4, 6]) {
    await runIn(out, { until, existing: "resume" });
    assert.deepEqual(shownOf(out), told(out));
  }
  assert.deepEqual(shownOf(out, { fast: true }), told(out));
  assert.equal(eventFilesOf(out)[0], name);
  assert.deepEqual(readFileSync(join(out, name)), before);
  assert.deepEqual(
    heads(out),
    [1, 4, 4, 5].map((step) => [first, start(step)]),
  );
  assert.deepEqual(steps(out), [[1, 2, 2, 3, 4, 5], [], [4, 4], [5, 6, 6, 6]]);
});

test("an event file has a later name than those before, whatever the clock says", async () => {
  const out = folder();
  await runIn(out, { until: 1 });
  const late = "events.out.tfevents.8000000000999";
  renameSync(join(out, eventFilesOf(out)[0]), join(out, late));
  for (const until of [2, 3]) await runIn(out, { until, existing: "resume" });
  assert.deepEqual(eventFilesOf(out), [late, "events.out.tfevents.8000000001000", "events.out.tfevents.8000000001001"]);
  assert.deepEqual(shownOf(out), told(out));
});

test("a run without event files, as older ones are, tells all that it has measured once it goes on", async () => {
  const out = folder();
  await runIn(out, { until: 3 });
  rmSync(join(out, eventFilesOf(out)[0]));
  for (const until of [3, 4, 6]) {
    await runIn(out, { until, existing: "resume" });
    assert.deepEqual(shownOf(out), told(out));
  }
  assert.deepEqual(
    heads(out),
    [4, 4, 5].map((step) => [first, start(step)]),
  );
  assert.deepEqual(steps(out), [
    [1, 2, 2, 3],
    [4, 4],
    [5, 6, 6, 6],
  ]);
});

test("a folder that is not there has no event files", () => {
  assert.deepEqual(eventFiles(join(folder(), "none")), []);
});

test("a run that begins anew removes the event files of the old one, and no others; its own has a name that did not occur", async () => {
  const elsewhere = "events.out.tfevents.1700000000.elsewhere";
  const out = folder({ [elsewhere]: "" });
  await runIn(out, { until: 1 });
  await runIn(out, { until: 2, existing: "resume" });
  const before = eventFiles(out);
  await runIn(out, { until: 1, existing: "anew" });
  const names = eventFiles(out);
  assert.deepEqual(eventFilesOf(out), [elsewhere, ...names]);
  assert.ok(timeOf(names[0]) > timeOf(before[1]) && timeOf(before[1]) > timeOf(before[0]), [...before, names].join());
  assert.deepEqual(heads(out), [[], [first, start(1)]]);
});

test("an event file of a run whose configuration is lost is removed only where told", async () => {
  const lost = "events.out.tfevents.1700000000003";
  const out = folder({ [lost]: "" });
  await assert.rejects(runIn(out, { existing: "resume" }), {
    name: "RunError",
    message: /, which has events\.out\.tfevents\.1700000000003 but no run\.json; /,
  });
  await runIn(out, { until: 1, existing: "anew" });
  assert.deepEqual(heads(out), [[first, start(1)]]);
  assert.ok(!eventFilesOf(out).includes(lost));
});
