import assert from "node:assert/strict";
import { createRequire } from "node:module";
import { join } from "node:path";
import { describe, test } from "node:test";
import {
  copy,
  digits,
  experiment,
  inspectTask,
  listOps,
  listOpsSizes,
  makesExamples,
  openTask,
  taskNames,
  taskOptions,
} from "@fmmformer/models";
import { folder } from "./folder.ts";

const { PNG } = createRequire(import.meta.resolve("@fmmformer/models"))("pngjs");

const lists = { "basic_train.tsv": "", "basic_val.tsv": "", "basic_test.tsv": "" };
for (const name of Object.keys(lists) as (keyof typeof lists)[])
  lists[name] = "Source\tTarget\r\n( [MAX 2 ) 9 ) ] )\t9\r\n";
const pairs = Object.fromEntries(
  ["train", "eval", "test"].map((n) => [`new_aan_pairs.${n}.tsv`, "1\ta\tb\tlong text\ttext\n"]),
);
const batches = Object.fromEntries([1, 2, 3, 4, 5].map((at) => [`data_batch_${at}.bin`, Buffer.alloc(6146, 9)]));
const folders: Record<string, Record<string, string | Uint8Array>> = {
  listops: lists,
  text: { "train/a/1.txt": "x", "train/b/1.txt": "y", "test/a/1.txt": "x", "test/b/1.txt": "y" },
  retrieval: pairs,
  image: { ...batches, "test_batch.bin": Buffer.alloc(3073, 9) },
  words: { "a.txt": "some words of a line\n".repeat(100) },
  characters: { "a.txt": "some words of a line\n".repeat(100) },
};

describe("openTask", () => {
  test("opens every task by its name, generated or from a folder", async () => {
    const opened = new Set<string>();
    for (const name of taskNames) {
      const files = folders[name];
      if (files) {
        const small = { words: { length: "8" }, characters: { length: "8" } }[name as string];
        const task = await openTask(name, { dir: folder(files), cache: "none", seed: "3", ...small });
        assert.equal(task.example("test", 0).tokens.length % task.length, 0, name);
        opened.add(name);
      }
      if (!files || name === "listops") {
        const task = await openTask(name, { seed: "3" });
        assert.equal(task.example("validation", 0).tokens.length, task.length, name);
        opened.add(name);
      }
    }
    assert.deepEqual([...opened].sort(), [...taskNames].sort());
    assert.equal(taskNames.length, 11);
  });

  test("options as text are those of the task", async () => {
    const tokens = (task: { example(split: "train", index: number): { tokens: Int32Array } }) =>
      task.example("train", 5).tokens;
    const small = await openTask("listops", { size: "small", seed: "7", train: "50" });
    assert.deepEqual(tokens(small), tokens(listOps({ ...listOpsSizes.small, seed: 7, train: 50 })));
    assert.deepEqual(
      tokens(await openTask("copy", { length: "256", seed: 2 })),
      tokens(copy({ length: 256, seed: 2 })),
    );
    assert.deepEqual(tokens(await openTask("digits", { side: "7", levels: undefined })), tokens(digits({ side: 7 })));
    const text = await openTask("text", { dir: folder(folders.text), cache: null, validation: "0.5", maxLength: "3" });
    assert.deepEqual([text.examples, text.length], [{ train: 1, validation: 1, test: 2 }, 4]);
    const image = await openTask("image", { dir: folder(folders.image), cache: null, blackIsPadding: "false" });
    assert.equal(image.example("test", 0).mask, undefined);
    const file = join(folder(folders.words), "a.txt");
    assert.equal((await openTask("words", { file, cache: "none", length: "4", maxVocabulary: "4" })).vocabulary, 4);
  });

  test("each option that is named is one of the task's own", async () => {
    // A task refuses options that it does not know; those that are known are refused for their values, or taken.
    for (const name of taskNames) {
      for (const dir of [false, true]) {
        for (const option of taskOptions(name, dir).filter((own) => own !== "dir" && own !== "file")) {
          const given = { ...(taskOptions(name, dir).includes("dir") && { dir: folder() }), [option]: "1" };
          const error = await openTask(name, given).then(
            () => undefined,
            (reason: Error) => reason,
          );
          assert.doesNotMatch(String(error), /expected options/, `${name} ${option}`);
        }
      }
    }
  });

  test("unknown names, options and values that are none are refused with a remedy", async () => {
    const cases: [string, object, RegExp][] = [
      ["listop", {}, /^TypeError: openTask: expected task .*, got "listop"; did you mean listops$/],
      [
        "copy",
        { lenght: 3 },
        /^TypeError: copy: expected options length, symbols or seed, got "lenght"; did you mean length$/,
      ],
      ["copy", { length: "long" }, /^TypeError: copy: expected length to be a number, got "long"$/],
      ["copy", { length: "" }, /^TypeError: copy: expected length to be a number, got ""$/],
      ["copy", { length: "4" }, /^RangeError: copy: expected length ≥ 8, got 4/],
      [
        "listops",
        { size: "tiny" },
        /^TypeError: listops: expected size paper, medium or small, got "tiny"; did you mean (small|paper)$/,
      ],
      ["listops", { dir: ".", size: "small" }, /^TypeError: listops: expected options .*, got "size"/],
      ["listops", { dir: folder() }, /^DataError: listOpsFiles: expected basic_train\.tsv, .*; unpack/],
      [
        "image",
        { dir: ".", blackIsPadding: "no" },
        /^TypeError: image: expected blackIsPadding to be true or false, got "no"$/,
      ],
      [
        "text",
        {},
        /^TypeError: text: expected a folder \(dir, or --data DIR\) with folders train\/pos, .*, got none; unpack aclImdb_v1\.tar\.gz of https:/,
      ],
      ["image", {}, /^TypeError: image: expected a folder .* with data_batch_1\.bin .*https:\/\/www\.cs\.toronto\.edu/],
      [
        "retrieval",
        {},
        /^TypeError: retrieval: expected a folder .* with new_aan_pairs\.train\.tsv.*https:\/\/github\.com/,
      ],
      [
        "words",
        {},
        /^TypeError: words: expected a folder .* with wiki\.train\.tokens, .* got none; pass dir, .* or file$/,
      ],
      ["words", { dir: ".", file: "a.txt" }, /^TypeError: words: expected dir or file, .*, got both$/],
      ["digits", { dir: "x" }, /^TypeError: digits: expected no folder, got x; this task makes its examples$/],
      ["copy", { cache: "x" }, /^TypeError: copy: expected options .*, got "cache"/],
    ];
    for (const [name, options, message] of cases) await assert.rejects(openTask(name, { ...options }), message, name);
  });
});

test("lm is another name of words, and tasks of files alone make no examples", async () => {
  const options = { dir: folder(folders.words), cache: "none", length: 8 };
  const [words, lm] = [await openTask("words", options), await openTask("lm", options)];
  assert.deepEqual([lm.name, lm.example("test", 0)], ["words", words.example("test", 0)]);
  assert.deepEqual(taskOptions("lm"), taskOptions("words"));
  assert.deepEqual(experiment("words"), experiment("lm"));
  const reading = taskNames.filter((name) => !makesExamples(name));
  assert.deepEqual(reading, ["text", "retrieval", "image", "words", "characters"]);
  assert.throws(() => taskOptions("digit"), /^TypeError: openTask: expected task .*; did you mean digits$/);
});

describe("inspectTask", () => {
  test("counts lengths, classes and examples", () => {
    const task = listOps(listOpsSizes.small);
    const { counts, sampled, lengths, classes, examples, picture } = inspectTask(task, { sample: 300, split: "test" });
    assert.deepEqual([counts, sampled, picture], [task.examples, 300, undefined]);
    const known = Array.from({ length: 300 }, (_, index) => task.example("test", index));
    const sizes = known.map(({ tokens }) => tokens.filter((token) => token !== 0).length).sort((x, y) => x - y);
    assert.deepEqual(lengths, { min: sizes[0], median: sizes[150], max: sizes[299] });
    assert.deepEqual(
      classes,
      [...Array(10).keys()].map((label) => known.filter(({ labels }) => labels[0] === label).length),
    );
    assert.deepEqual(examples, known.slice(0, 3).map(task.describe));
  });

  test("of labelled tokens only those that count, of pairs both sequences", async () => {
    const task = copy({ length: 8 });
    const { classes, lengths } = inspectTask(task, { sample: 10 });
    assert.equal(
      classes.reduce((sum, count) => sum + count),
      30,
    );
    assert.deepEqual(lengths, { min: 8, median: 8, max: 8 });
    const both = await openTask("retrieval", { dir: folder(pairs), cache: "none" });
    assert.deepEqual(inspectTask(both).lengths, { min: 4, median: 9, max: 9 });
  });

  test("images come as a PNG of up to sixteen", () => {
    const task = digits({ side: 14 });
    const { picture } = inspectTask(task, { sample: 1, split: "test" });
    const { width, height, data } = PNG.sync.read(Buffer.from(picture!));
    assert.deepEqual([width, height], [8 * 71 - 1, 2 * 71 - 1]);
    const { pixels } = task.image(task.example("test", 9));
    for (const at of [0, 50, 97, 105]) {
      const [row, column] = [71 + 5 * Math.floor(at / 14) + 4, 71 + 5 * (at % 14) + 4];
      assert.equal(data[4 * (row * width + column)], Math.round(255 * pixels[at]));
    }
  });

  test("a sample that is none is refused", () => {
    assert.throws(
      () => inspectTask(copy(), { sample: 0 }),
      /RangeError: inspectTask: expected sample to be an integer ≥ 1, got 0/,
    );
  });
});
