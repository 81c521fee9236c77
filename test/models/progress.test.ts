import assert from "node:assert/strict";
import { test } from "node:test";
import { progress } from "@fmmformer/models";
import fc from "fast-check";

/** Runs 200 steps of half a second, 1,000 tokens each, and returns what was written. */
function run(stream: { isTTY?: boolean; columns?: number }, { steps = 200, millisecondsPerStep = 500 } = {}): string[] {
  const written: string[] = [];
  let now = 5000;
  const write = (text: string) => written.push(text);
  const { step } = progress("fmm", { steps, tokensPerStep: 1000, stream: { ...stream, write }, clock: () => now });
  for (let done = 1; done <= steps; done++) {
    now += millisecondsPerStep;
    step(done, { loss: 2 / done, accuracy: done / steps });
  }
  return written;
}

// biome-ignore lint/suspicious/noControlCharactersInRegex: escape codes are what this looks for
const escapes = /\x1b\[[\d?]*[a-zA-Z]/g;
const plain = (text: string) => text.replace(escapes, "").replace("\r", "");

test("off a terminal there are ten plain lines, the last at the end", () => {
  const lines = run({});
  assert.equal(lines.length, 10);
  assert.equal(lines[0], "fmm: step 20 of 200, loss 0.100, accuracy 10.0 %, 1:30 left, 2k tokens/s\n");
  assert.equal(lines[9], "fmm: step 200 of 200, loss 0.010, accuracy 100.0 %, in 1:40, 2k tokens/s\n");
});

test("off a terminal a run of few steps has a line per step", () => {
  assert.equal(run({}, { steps: 3 }).length, 3);
});

test("off a terminal a tenth that takes longer has a line a minute", () => {
  const lines = run({}, { steps: 100, millisecondsPerStep: 25_000 });
  assert.deepEqual(
    lines.slice(0, 4).map((line) => Number(/step (\d+) of/.exec(line)?.[1])),
    [3, 6, 9, 10],
  );
  assert.match(lines.at(-1)!, /step 100 of 100/);
});

test("on a terminal one line is redrawn with loss, accuracy, time left and tokens per second", () => {
  const drawn = run({ isTTY: true, columns: 100 }).map(plain);
  assert.equal(drawn.length, 200);
  assert.equal(
    drawn[99],
    "fmm     ━━━━━━━━━━━━────────────  50 %  loss 0.020  accuracy 50.0 %  0:50 left  2k tokens/s\n",
  );
  assert.match(drawn[199], /━{24} 100 % {2}loss 0.010 {2}accuracy 100.0 % {2}in 1:40/);
  assert.match(drawn[198], / {2}99 % {2}/);
});

test("what has no accuracy shows none", () => {
  const written: string[] = [];
  const stream = { write: (text: string) => written.push(text) };
  const { step } = progress("fmm", { steps: 2, tokensPerStep: 1000, stream, clock: () => 1000 * written.length });
  written.push("a second goes by");
  step(1, { loss: 0.25 });
  assert.equal(written[1], "fmm: step 1 of 2, loss 0.250, 0:01 left, 1k tokens/s\n");
});

test("a run that goes on counts the steps that it makes itself, and says what else there is to say", () => {
  const written: string[] = [];
  let now = 0;
  const stream = { write: (text: string) => written.push(text) };
  const { step } = progress("fmm", { steps: 200, made: 100, tokensPerStep: 1000, stream, clock: () => now });
  for (let done = 101; done <= 200; done++) {
    now += 500;
    step(done, { loss: 1, accuracy: 0.5, note: "validation 40.0 %" });
  }
  assert.equal(written.length, 5);
  assert.equal(
    written[0],
    "fmm: step 120 of 200, loss 1.000, accuracy 50.0 %, 0:40 left, validation 40.0 %, 2k tokens/s\n",
  );
});

test("times from an hour on are written with hours", () => {
  assert.match(run({}, { steps: 10, millisecondsPerStep: 3_600_000 })[0], /, 9:00:00 left,/);
});

test("whenever a run stops, the cursor is visible, on a fresh line, and the line above is the only one drawn", () => {
  const [first, ...rest] = run({ isTTY: true, columns: 100 });
  for (const text of [first, ...rest]) {
    assert.doesNotMatch(text, /\?25l/);
    assert.equal(text.indexOf("\n"), text.length - 1);
  }
  assert.ok(!first.includes("\x1b[1A"));
  for (const text of rest) assert.ok(text.startsWith("\x1b[1A\r\x1b[2K"));
});

test("a line fits the terminal, however narrow, and says first how much is done", () => {
  fc.assert(
    fc.property(fc.integer({ min: 16, max: 140 }), (columns) => {
      for (const line of run({ isTTY: true, columns }).map(plain)) {
        assert.ok(line.length - 1 < columns, `${line.length - 1} characters in ${columns} columns`);
        assert.match(line, /\d %/);
      }
    }),
    { numRuns: 25 },
  );
});

test("fast steps are drawn only as often as an eye can follow, the last one always", () => {
  const drawn = run({ isTTY: true, columns: 100 }, { steps: 1001, millisecondsPerStep: 1 });
  assert.ok(drawn.length >= 10 && drawn.length <= 15, `${drawn.length}`);
  assert.match(plain(drawn.at(-1)!), /100 %/);
});
