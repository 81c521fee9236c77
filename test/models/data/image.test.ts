import assert from "node:assert/strict";
import { test } from "node:test";
import { gzipSync } from "node:zlib";
import { DataError, type Example, type ImageTask, image, type Split } from "@fmmformer/models";
import { folder } from "./folder.ts";

/** A record of CIFAR-10: a label and one colour per pixel. */
function record(label: number, colour: (pixel: number) => readonly [number, number, number]): Buffer {
  const bytes = Buffer.alloc(3073);
  bytes[0] = label;
  for (let pixel = 0; pixel < 1024; pixel++) {
    for (const [plane, value] of colour(pixel).entries()) bytes[1 + plane * 1024 + pixel] = value;
  }
  return bytes;
}
const even = (label: number, value: number) => record(label, () => [value, value, value]);
const cifar = {
  "batches.meta.txt": "airplane\n",
  "data_batch_1.bin": Buffer.concat([even(0, 10), even(1, 11)]),
  "data_batch_2.bin": Buffer.concat([even(2, 12), even(3, 13)]),
  "data_batch_3.bin": Buffer.concat([even(4, 14), even(5, 15)]),
  "data_batch_4.bin": Buffer.concat([even(6, 16), even(7, 17)]),
  "data_batch_5.bin": Buffer.concat([even(8, 18), even(9, 19)]),
  "test_batch.bin": record(3, (pixel) => [pixel % 256, Math.floor(pixel / 4), 255 - (pixel % 256)]),
};

function idx(sizes: readonly number[], bytes: readonly number[]): Buffer {
  const header = Buffer.alloc(4 + 4 * sizes.length);
  header.writeUInt32BE(0x800 + sizes.length);
  for (const [axis, size] of sizes.entries()) header.writeUInt32BE(size, 4 + 4 * axis);
  return Buffer.concat([header, Buffer.from(bytes)]);
}
const pictures = (count: number, first: number) => Array.from({ length: count * 6 }, (_, at) => (first + at) % 256);
const small = {
  "train-images-idx3-ubyte.gz": gzipSync(idx([20, 2, 3], pictures(20, 0))),
  "train-labels-idx1-ubyte.gz": gzipSync(
    idx(
      [20],
      [...Array(20).keys()].map((at) => at % 4),
    ),
  ),
  "t10k-images-idx3-ubyte": idx([2, 2, 3], pictures(2, 120)),
  "t10k-labels-idx1-ubyte": idx([2], [1, 0]),
};
const open = (files: Record<string, string | Uint8Array>, options: object = {}) =>
  image({ dir: folder(files), cache: null, ...options });
const all = (task: ImageTask, split: Split) =>
  Array.from({ length: task.examples[split] }, (_, index) => task.example(split, index));
const first = ({ tokens, labels }: Example) => [labels[0], tokens[0]];

test("image reads CIFAR-10's binary files, the last tenth of the training images for validation", async () => {
  const task = await open(cifar);
  assert.deepEqual(task.examples, { train: 9, validation: 1, test: 1 });
  assert.deepEqual([task.vocabulary, task.length, task.classes, task.kind], [256, 1024, 10, "classify"]);
  const seen = all(task, "train").map(first);
  assert.deepEqual(
    seen.sort(),
    [...Array(9).keys()].map((label) => [label, 10 + label]),
  );
  assert.deepEqual(all(task, "validation").map(first), [[9, 19]]);
});

test("image turns colours into grey as 0.2989 R + 0.5870 G + 0.1140 B, a byte at most one above the floor", async () => {
  const [{ tokens, labels }] = all(await open(cifar), "test");
  assert.deepEqual([...labels], [3]);
  for (const [pixel, grey] of tokens.entries()) {
    const exact = 0.2989 * (pixel % 256) + 0.587 * Math.floor(pixel / 4) + 0.114 * (255 - (pixel % 256));
    const scaled = (exact * 255.5) / 255;
    assert.ok(grey <= scaled + 1e-4 && grey > scaled - 1 - 1e-4, `pixel ${pixel}: ${grey} for ${scaled}`);
  }
  // Values of tf.image.rgb_to_grayscale's definition worked out by hand: 255.5 · 0.9999 = 255.47, 255.5 · 0.2989 = 76.37.
  const colours: [readonly [number, number, number], number][] = [
    [[255, 255, 255], 255],
    [[0, 0, 0], 0],
    [[255, 0, 0], 76],
    [[0, 255, 0], 149],
    [[0, 0, 255], 29],
    [[1, 1, 1], 1],
    [[128, 128, 128], 128],
  ];
  const bytes = record(0, (pixel) => colours[pixel % colours.length][0]);
  const [example] = all(await open({ ...cifar, "test_batch.bin": bytes }), "test");
  assert.deepEqual(
    [...example.tokens.subarray(0, 7)],
    colours.map(([, grey]) => grey),
  );
});

test("image masks black pixels as the authors do, unless told", async () => {
  const files = { ...cifar, "test_batch.bin": record(0, (pixel) => (pixel % 2 ? [9, 9, 9] : [0, 0, 0])) };
  const [{ mask }] = all(await open(files), "test");
  assert.deepEqual([...mask!.subarray(0, 4)], [0, 1, 0, 1]);
  const [unmasked] = all(await open(files, { blackIsPadding: false }), "test");
  assert.equal(unmasked.mask, undefined);
});

test("image reads IDX files, compressed or not, of any size", async () => {
  const task = await open(small, { validation: 0.25 });
  assert.deepEqual([task.examples, task.length, task.classes], [{ train: 15, validation: 5, test: 2 }, 6, 4]);
  assert.deepEqual(
    all(task, "test").map(({ tokens, labels }) => [labels[0], ...tokens]),
    [
      [1, 120, 121, 122, 123, 124, 125],
      [0, 126, 127, 128, 129, 130, 131],
    ],
  );
  const held = all(task, "validation").find(({ tokens }) => tokens[5] === 95);
  const { width, height, pixels } = task.image(held!);
  assert.deepEqual([width, height, pixels[5]], [3, 2, Math.fround(95 / 255)]);
  assert.match(task.describe(task.example("test", 1)), /^.*\n.*\nis of class 0$/);
});

test("image gives the same rows from its cache", async () => {
  const [dir, cache] = [folder(small), folder()];
  const [read, found] = [await image({ dir, cache }), await image({ dir, cache })];
  assert.deepEqual(all(read, "train"), all(found, "train"));
});

test("image refuses files that are no images with labels, with file and byte", async () => {
  const { "data_batch_2.bin": batch, ...rest } = cifar;
  const cases: [Record<string, string | Uint8Array>, RegExp, string, number | undefined][] = [
    [
      { ...rest, "data_batch_2.bin": batch.subarray(0, -1) },
      /expected 3073 bytes of a label .*, got 3072; the file is cut/,
      "data_batch_2.bin",
      3073,
    ],
    [{ ...rest, "data_batch_2.bin": even(10, 1) }, /expected a label 0 … 9, got 10/, "data_batch_2.bin", 0],
    [{ ...cifar, "test_batch.bin": "" }, /expected images, got an empty file/, "test_batch.bin", 0],
    [
      { ...small, "t10k-labels-idx1-ubyte": idx([3], [0, 1, 2]) },
      /a label for each of 2 images, got 3/,
      "t10k-labels-idx1-ubyte",
      4,
    ],
    [
      { ...small, "t10k-labels-idx1-ubyte": idx([2], [0]) },
      /expected 1 bytes of a label, got 0; the file is cut short/,
      "t10k-labels-idx1-ubyte",
      9,
    ],
    [
      { ...small, "t10k-images-idx3-ubyte": idx([2, 2, 3], pictures(3, 0)) },
      /expected the end of the file after 2 images/,
      "t10k-images-idx3-ubyte",
      28,
    ],
    [
      { ...small, "t10k-images-idx3-ubyte": idx([2, 3, 2], pictures(2, 0)) },
      /expected images of 2 × 3 pixels/,
      "t10k-images-idx3-ubyte",
      8,
    ],
    [
      { ...small, "t10k-images-idx3-ubyte": idx([2, 2, 3], pictures(2, 0)).subarray(0, -1) },
      /expected 6 bytes of an image, got 5; the file is cut short/,
      "t10k-images-idx3-ubyte",
      22,
    ],
    [
      { ...small, "t10k-images-idx3-ubyte": idx([2, 2, 3], []).subarray(0, 9) },
      /expected 12 bytes of the sizes, got 5; the file is cut short/,
      "t10k-images-idx3-ubyte",
      4,
    ],
    [
      { ...small, "t10k-images-idx3-ubyte": "" },
      /expected 4 bytes of the IDX header, got 0; the file is cut short/,
      "t10k-images-idx3-ubyte",
      0,
    ],
    [
      { ...small, "train-images-idx3-ubyte.gz": idx([20, 2, 3], pictures(20, 0)) },
      /expected whole gzip data, got incorrect header check/,
      "train-images-idx3-ubyte.gz",
      0,
    ],
    [
      { ...small, "t10k-images-idx3-ubyte": idx([2], [0, 0]) },
      /expected the IDX header 0x803, got 0x801/,
      "t10k-images-idx3-ubyte",
      0,
    ],
    [
      { ...small, "t10k-images-idx3-ubyte": idx([2, 0, 3], []) },
      /expected sizes above 0 .*, got 2 × 0 × 3/,
      "t10k-images-idx3-ubyte",
      4,
    ],
    [
      { ...small, "train-images-idx3-ubyte.gz": gzipSync(idx([20, 2, 3], pictures(20, 0))).subarray(0, 40) },
      /expected whole gzip data/,
      "train-images-idx3-ubyte.gz",
      undefined,
    ],
  ];
  for (const [files, message, name, byte] of cases) {
    await assert.rejects(open(files), (error) => {
      assert.ok(error instanceof DataError, String(error));
      assert.match(error.message, message);
      assert.ok(error.file.endsWith(name));
      assert.ok(byte === undefined ? error.byte! > 0 : error.byte === byte, error.message);
      return true;
    });
  }
});

test("image says what files it wants and where to get them", async () => {
  const { "t10k-labels-idx1-ubyte": _, ...rest } = small;
  await assert.rejects(
    open({ "a.bin": "" }),
    /DataError: image: expected data_batch_1\.bin .*, got no train images; unpack/,
  );
  await assert.rejects(open(rest), /got no test or t10k labels; unpack cifar-10-binary\.tar\.gz of https:/);
  await assert.rejects(
    open({ ...small, "test-images-idx3-ubyte": "" }),
    /got t10k-images-idx3-ubyte and test-images-idx3/,
  );
  const { "data_batch_2.bin": __, "test_batch.bin": ___, ...some } = cifar;
  await assert.rejects(open(some), /DataError: image: .* got no data_batch_2\.bin, test_batch\.bin; unpack/);
  await assert.rejects(open(small, { validation: 1.5 }), /RangeError: image: expected validation to be a share/);
  await assert.rejects(
    open(small, { blackIsPadding: "no" }),
    /TypeError: image: expected blackIsPadding true or false/,
  );
});
