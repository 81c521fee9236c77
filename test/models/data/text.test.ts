import assert from "node:assert/strict";
import { readdirSync, rmSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { DataError, type Split, type Task, text } from "@fmmformer/models";
import { folder } from "./folder.ts";

const reviews: Record<string, string | Uint8Array> = {
  README: "not a text",
  "train/urls_pos.txt": "http://",
  "train/unsup/0_0.txt": "of no class",
  "train/neg/0_1.txt": 'dull,\r\n"really"',
  "train/neg/1_2.txt": "long ".repeat(300),
  "train/pos/0_9.txt": "fine\n\n",
  "train/pos/1_10.txt": Buffer.of(0xff, 0x00, 0x41),
  "train/pos/notes.md": "not a text",
  "test/neg/0_3.txt": "bad",
  "test/pos/0_7.txt": "très bon",
  "test/pos/1_7.txt": "good",
};
const all = (task: Task, split: Split) =>
  Array.from({ length: task.examples[split] }, (_, index) => task.describe(task.example(split, index)));

test("text reads aclImdb by bytes, without unlabelled texts, and validates on the test split", async () => {
  const task = await text({ dir: folder(reviews), cache: null });
  assert.deepEqual(task.examples, { train: 4, validation: 3, test: 3 });
  assert.deepEqual([task.vocabulary, task.length, task.classes, task.kind], [257, 1024, 2, "classify"]);
  assert.deepEqual(all(task, "test").sort(), ["neg: bad", "pos: good", "pos: très bon"]);
  assert.deepEqual(all(task, "validation"), all(task, "test"));
  const long = `neg: ${"long ".repeat(200)}`;
  const train = ['neg: dull,\r\n"really"', long, "pos: fine\n\n", "pos: �\0A"];
  assert.deepEqual(all(task, "train").sort(), train.sort());
  const { tokens, mask, labels } = task.example("test", all(task, "test").indexOf("neg: bad"));
  assert.deepEqual([...tokens.subarray(0, 5)], [99, 98, 101, 0, 0]);
  assert.deepEqual([...mask!.subarray(0, 5)], [1, 1, 1, 0, 0]);
  assert.deepEqual([...labels], [0]);
});

test("text tells bytes that are no UTF-8, and bytes 0 from padding", async () => {
  const task = await text({ dir: folder(reviews), cache: null });
  const rows = [0, 1, 2, 3].map((index) => task.example("train", index));
  const { mask } = rows.find(({ tokens }) => tokens.subarray(0, 4).join() === "256,1,66,0")!;
  assert.deepEqual([...mask!.subarray(0, 4)], [1, 1, 1, 0]);
});

test("text sets a share of the training texts apart, the same under every seed", async () => {
  const files: Record<string, string> = {};
  for (let i = 0; i < 40; i++) files[`train/${i % 2 ? "pos" : "neg"}/${i}.txt`] = `text ${i}`;
  const dir = folder({ ...files, "test/pos/0.txt": "a", "test/neg/0.txt": "b" });
  const [one, other] = await Promise.all([1, 2].map((seed) => text({ dir, cache: null, validation: 0.25, seed })));
  assert.deepEqual(one.examples, { train: 30, validation: 10, test: 2 });
  assert.deepEqual(all(one, "validation"), all(other, "validation"));
  assert.notDeepEqual(all(one, "train"), all(other, "train"));
  assert.deepEqual(new Set(all(one, "train")), new Set(all(other, "train")));
  assert.equal(new Set([...all(one, "train"), ...all(one, "validation")]).size, 40);
});

test("the first texts of a split are a sample of it, though files lie class by class, and the same under every seed", async () => {
  const files: Record<string, string> = {};
  for (let i = 0; i < 200; i++) files[`${i % 2 ? "train" : "test"}/${i < 100 ? "neg" : "pos"}/${i}.txt`] = `text ${i}`;
  const dir = folder(files);
  const [one, other] = await Promise.all([1, 2].map((seed) => text({ dir, cache: null, seed })));
  for (const split of ["train", "validation", "test"] as const) {
    const { labels } = one.batch(split, 0, 40);
    const ofOne = Array.from(labels.data).filter((label) => label === 1).length;
    assert.ok(ofOne > 10 && ofOne < 30, `${split}: ${ofOne} of 40`);
  }
  assert.deepEqual(all(one, "test"), all(other, "test"));
});

test("text splits any folder with a folder per class", async () => {
  const files: Record<string, string> = {};
  for (let i = 0; i < 60; i++) files[`${["ham", "spam", "news"][i % 3]}/${i}.txt`] = `text ${i}`;
  const task = await text({ dir: folder(files), cache: null, maxLength: 5, test: 0.2 });
  assert.deepEqual([task.examples, task.length, task.classes], [{ train: 43, validation: 5, test: 12 }, 8, 3]);
  assert.match(task.describe(task.example("test", 0)), /^(ham|spam|news): text $/);
});

test("text finds what it has read once, and reads a changed folder again", async () => {
  const [dir, cache] = [folder(reviews), folder()];
  const calls: number[] = [];
  const open = () => text({ dir, cache, onProgress: (read, size) => calls.push(read / size) });
  const first = await open();
  assert.deepEqual([calls.length, calls.at(-1)], [7, 1]);
  const second = await open();
  assert.equal(calls.length, 7);
  assert.deepEqual(all(second, "train"), all(first, "train"));
  rmSync(join(dir, "test/pos/1_7.txt"));
  assert.equal((await open()).examples.test, 2);
});

test("text tells which file went while it was reading, and leaves nothing in the cache", async () => {
  const [dir, cache] = [folder(reviews), folder()];
  const file = join(dir, "train/pos/1_10.txt");
  await assert.rejects(text({ dir, cache, onProgress: () => rmSync(file, { force: true }) }), (error) => {
    assert.ok(error instanceof DataError && error.file === file, String(error));
    assert.match(error.message, /^text: expected a file that can be read, got ENOENT/);
    return true;
  });
  assert.deepEqual(readdirSync(cache), []);
});

test("text refuses folders that are none of its layouts, empty files and shares that are none", async () => {
  const open = (files: typeof reviews, options: object = {}) => text({ dir: folder(files), cache: null, ...options });
  const remedy = /^DataError: text: expected folders train\/pos, .*; unpack aclImdb_v1\.tar\.gz of https:/;
  await assert.rejects(open({}), remedy);
  await assert.rejects(text({ dir: "no/such/folder" }), /got no such folder; unpack/);
  await assert.rejects(open({ ...reviews, "test/pos/0_7.txt": "" }), (error) => {
    assert.ok(error instanceof DataError && error.file.endsWith("0_7.txt"));
    assert.match(error.message, /^text: expected a text, got an empty file; remove it \(/);
    return true;
  });
  await assert.rejects(open({ "a/1.txt": "a", "b/none.md": "" }), /got a folder without \.txt files; .*b\)$/);
  await assert.rejects(
    open(reviews, { validation: 1 }),
    /RangeError: text: expected validation to be "test" or a share/,
  );
  await assert.rejects(open(reviews, { maxLength: 0 }), /RangeError: text: expected maxLength ≥ 1, got 0/);
});
