import assert from "node:assert/strict";
import { readdirSync } from "node:fs";
import { join } from "node:path";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { DataError, openTask, taskNames, taskOptions } from "@fmmformer/models";
import { folder } from "./folder.ts";

type Files = Readonly<Record<string, string | Uint8Array>>;

const list = "( ( [SM 5 ) 8 ) ]\t3\n".repeat(3);
const lists = (split: string, content: string): Files => ({
  ...Object.fromEntries(["train", "val", "test"].map((each) => [`basic_${each}.tsv`, `Source\tTarget\n7\t7\n`])),
  [`basic_${split}.tsv`]: content,
});
const pair = "1\ta\tb\tone\ttwo\n";
const pairs = (split: string, content: string): Files => ({
  ...Object.fromEntries(["train", "eval", "test"].map((each) => [`new_aan_pairs.${each}.tsv`, pair])),
  [`new_aan_pairs.${split}.tsv`]: content,
});
const idx = (sizes: readonly number[], bytes: number): Buffer => {
  const header = Buffer.alloc(4 + 4 * sizes.length);
  header.writeUInt32BE(0x800 + sizes.length);
  for (const [axis, size] of sizes.entries()) header.writeUInt32BE(size, 4 + 4 * axis);
  return Buffer.concat([header, Buffer.alloc(bytes, 1)]);
};
const pictures: Files = {
  "train-images-idx3-ubyte": idx([4, 2, 2], 16),
  "train-labels-idx1-ubyte": idx([4], 4),
  "test-images-idx3-ubyte": idx([1, 2, 2], 4),
  "test-labels-idx1-ubyte": idx([1], 1),
};
const story = "once upon a time\n".repeat(2000);
const spoilt = Buffer.concat([Buffer.from(story), Buffer.of(0xff), Buffer.from(story)]);

const batches = Object.fromEntries([1, 2, 3, 4, 5].map((at) => [`data_batch_${at}.bin`, Buffer.alloc(6146)]));

/** A task, its files, the one that is bad, and the line or byte where it is. */
const bad: readonly [task: string, files: Files, file: string, place: { line?: number; byte?: number }][] = [
  ["listops", lists("test", `Source\tTarget\n${list}7\tseven\n`), "basic_test.tsv", { line: 5 }],
  ["retrieval", pairs("test", `${pair}${pair}1\ta\tb\tone\n`), "new_aan_pairs.test.tsv", { line: 3 }],
  ["retrieval", pairs("eval", `${pair}yes\ta\tb\tone\ttwo\n`), "new_aan_pairs.eval.tsv", { line: 2 }],
  ["image", { ...pictures, "test-images-idx3-ubyte": idx([1, 2, 2], 3) }, "test-images-idx3-ubyte", { byte: 16 }],
  ["image", { ...pictures, "test-labels-idx1-ubyte": idx([2], 2) }, "test-labels-idx1-ubyte", { byte: 4 }],
  ["image", { ...batches, "test_batch.bin": Buffer.alloc(6146, 11) }, "test_batch.bin", { byte: 0 }],
  ["words", { "a.txt": spoilt }, "a.txt", { line: 2001 }],
  ["characters", { "a.txt": spoilt }, "a.txt", { byte: story.length }],
  ["pathfinder", { "metadata/0.npy": "imgs/0 a.png 0 1\n" }, "0.npy", { line: 1 }],
  ["pathfinder", { "metadata/0.npy": "imgs/0 a.png 0 maybe\n" }, "0.npy", { line: 1 }],
];

for (const [task, files, file, place] of bad) {
  const where = place.line === undefined ? `byte ${place.byte}` : `line ${place.line}`;
  test(`${task}: what is bad in ${file} is told with ${where}, and nothing stays in the cache`, async () => {
    const [dir, cache] = [folder(files), folder()];
    await assert.rejects(openTask(task, { dir, cache }), (error) => {
      assert.ok(error instanceof DataError, String(error));
      assert.ok(error.file.endsWith(file), error.message);
      assert.ok(error.message.endsWith(`${file}, ${where})`), error.message);
      assert.deepEqual([error.line, error.byte], [place.line, place.byte]);
      return true;
    });
    assert.deepEqual(readdirSync(cache), []);
  });
}

const reading = taskNames.filter((name) => taskOptions(name, true).includes("dir"));

test("an empty folder, an archive in place of one and none at all are refused by every reader, with a remedy", async () => {
  assert.equal(reading.length, 7);
  const archive = join(folder({ "data.tar.gz": gzipSync("archive") }), "data.tar.gz");
  for (const task of reading) {
    for (const [dir, got] of [
      [folder(), /got (no |0 classes)/],
      [archive, /got a file, not a folder; /],
      [join(folder(), "none"), /got no /],
    ] as const) {
      await assert.rejects(openTask(task, { dir, cache: "none" }), (error) => {
        assert.ok(error instanceof DataError, `${task}: ${error}`);
        assert.match(error.message, got);
        assert.match(error.message, /; (unpack|pass) /);
        return true;
      });
    }
  }
});
