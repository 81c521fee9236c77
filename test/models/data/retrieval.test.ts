import assert from "node:assert/strict";
import { test } from "node:test";
import { DataError, retrieval, type Split, type Task } from "@fmmformer/models";
import { folder } from "./folder.ts";

const long = "ab".repeat(3000);
const whole = {
  "new_aan_pairs.train.tsv": `1\tP00-1\tP00-2\t"A quoted\tanother "one"\r\n\r\n0.0\tx\ty\t${long}\tshort\r\n1.0\tx\ty\tß\t`,
  "new_aan_pairs.eval.tsv": "0\tx\ty\tone\ttwo\n",
  "new_aan_pairs.test.tsv": Buffer.concat([Buffer.from("1\tx\ty\t"), Buffer.of(0xff, 0x00), Buffer.from("\ttwo\n")]),
};
const open = (files: Record<string, string | Uint8Array> = {}, options: object = {}) =>
  retrieval({ dir: folder({ ...whole, ...files }), cache: null, ...options });
const all = (task: Task, split: Split) =>
  Array.from({ length: task.examples[split] }, (_, index) => task.describe(task.example(split, index)));

test("retrieval reads pairs by bytes, quotes and all, and keeps the first 4,000", async () => {
  const task = await open();
  assert.deepEqual(task.examples, { train: 3, validation: 1, test: 1 });
  assert.deepEqual([task.vocabulary, task.length, task.classes, task.kind], [257, 4096, 2, "classify-pairs"]);
  const train = [
    '"A quoted\nhas a link to\nanother "one"',
    `${long.slice(0, 4000)}\nhas no link to\nshort`,
    "ß\nhas a link to\n",
  ];
  assert.deepEqual(all(task, "train").sort(), train.sort());
  assert.deepEqual(all(task, "validation"), ["one\nhas no link to\ntwo"]);
});

test("retrieval pads each text of a pair by itself, and bytes that are no UTF-8 are tokens", async () => {
  const { tokens, mask } = (await open({}, { maxLength: 3 })).example("test", 0);
  assert.deepEqual([...tokens], [256, 1, 0, 0, 117, 120, 112, 0]);
  assert.deepEqual([...mask!], [1, 1, 0, 0, 1, 1, 1, 0]);
});

test("retrieval batches pairs, and finds them in its cache", async () => {
  const [dir, cache] = [folder(whole), folder()];
  const [read, found] = [await retrieval({ dir, cache }), await retrieval({ dir, cache })];
  const batch = found.batch("train", 0, 3);
  assert.deepEqual([batch.tokens.shape, batch.mask!.shape, batch.labels.shape], [[3, 2, 4096], [3, 2, 4096], [3]]);
  assert.deepEqual(batch.tokens.data, read.batch("train", 0, 3).tokens.data);
});

test("retrieval refuses lines that are no pair with a label, with file and line", async () => {
  const cases: [string, RegExp, number | undefined][] = [
    ["1\tx\ty\tone\ttwo\n0\tx\ty\tcut sh", /expected 5 columns \(label, .*\) with tabs between, got 4/, 2],
    ["1\tx\ty\tone\ttwo\tthree\n", /got 6/, 1],
    ["\n\n2\tx\ty\tone\ttwo\n", /expected a label 0 or 1, got "2"/, 3],
    ["label\tid1\tid2\ttext1\ttext2\n", /expected a label 0 or 1, got "label"/, 1],
    ["", /expected pairs, got none/, undefined],
  ];
  for (const [content, message, line] of cases) {
    await assert.rejects(open({ "new_aan_pairs.eval.tsv": content }), (error) => {
      assert.ok(error instanceof DataError, String(error));
      assert.match(error.message, message);
      assert.ok(error.file.endsWith("new_aan_pairs.eval.tsv"));
      assert.equal(error.line, line);
      return true;
    });
  }
  await assert.rejects(
    retrieval({ dir: folder() }),
    /expected new_aan_pairs.* got no new_aan_pairs\.train\.tsv; unpack lra/,
  );
  await assert.rejects(open({}, { maxLength: 1e5 }), /RangeError: retrieval: expected maxLength in 1 … 65535/);
});
