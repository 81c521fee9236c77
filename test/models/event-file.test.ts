import assert from "node:assert/strict";
import { readFileSync, writeFileSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import {
  adamw,
  crc32c,
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
const first = { step: 0, version: "brain.Event:2", values: [] };

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

test("a run's event file tells what its metrics tell, at any time, one event for each line", async () => {
  const out = folder();
  const began = Date.now() / 1000;
  const same = () => assert.deepEqual(shownOf(out), toldBy(readMetrics(join(out, runFiles.metrics))));
  const { metrics } = await runIn(out, { onEvent: same });
  assert.deepEqual(eventFilesOf(out), ["events.out.tfevents.000000"]);
  const [[head, ...events]] = eventsIn(out);
  const { wallTime, ...version } = head;
  assert.deepEqual(version, first);
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
  const times = [wallTime, ...events.map((event) => event.wallTime)];
  assert.ok(times[0] >= began && times.every((time, i) => i === 0 || time >= times[i - 1]), times.join());
});

test("a run that goes on begins another file, which says from which step, and leaves those before as they were", async () => {
  const out = folder();
  await runIn(out, { until: 3 });
  const [name] = eventFilesOf(out);
  // As if killed behind step 5: two steps that the checkpoint does not know.
  const later = [4, 5].map((step) => eventRecord({ "train/loss": 7 }, { step, wallTime: 7 }));
  const before = Buffer.concat([readFileSync(join(out, name)), ...later]);
  writeFileSync(join(out, name), before);
  for (const until of [3, 4, 6]) await runIn(out, { until, existing: "resume" });
  const names = [0, 1, 2, 3].map((number) => `events.out.tfevents.00000${number}`);
  assert.deepEqual(eventFilesOf(out), names);
  assert.deepEqual(readFileSync(join(out, name)), before);
  const start = (step: number) => ({ step, session: 1, values: [] });
  assert.deepEqual(heads(out), [[first], ...[4, 4, 5].map((step) => [first, start(step)])]);
  assert.deepEqual(shownOf(out), toldBy(readMetrics(join(out, runFiles.metrics))));
});

test("a run that begins anew removes the event files of the old one, and no others", async () => {
  const out = folder({ "events.out.tfevents.1700000000.elsewhere": "" });
  await runIn(out, { until: 1 });
  await runIn(out, { until: 2, existing: "resume" });
  await runIn(out, { until: 1, existing: "anew" });
  assert.deepEqual(eventFilesOf(out), ["events.out.tfevents.000000", "events.out.tfevents.1700000000.elsewhere"]);
  assert.deepEqual(heads(out), [[first], []]);
});

test("an event file of a run whose configuration is lost is removed only where told", async () => {
  const out = folder({ "events.out.tfevents.000003": "" });
  await assert.rejects(runIn(out, { existing: "resume" }), {
    name: "RunError",
    message: /, which has events\.out\.tfevents\.000003 but no run\.json; /,
  });
  await runIn(out, { until: 1, existing: "anew" });
  assert.deepEqual(eventFilesOf(out), ["events.out.tfevents.000000"]);
});
