import assert from "node:assert/strict";
import { rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { test } from "node:test";
import { DataError, type ImageTask, pathfinderFiles, type Split } from "@fmmformer/models";
import { folder } from "./folder.ts";

const { PNG } = createRequire(import.meta.resolve("@fmmformer/models"))("pngjs");

/** A grey PNG of 2 × 3 pixels whose values begin at some number. */
function png(first: number, [width, height] = [2, 3]): Buffer {
  const image = new PNG({ width, height, colorType: 0 });
  for (let pixel = 0; pixel < width * height; pixel++)
    image.data.set(
      [0, 1, 2].map(() => first + pixel),
      4 * pixel,
    );
  for (let pixel = 0; pixel < width * height; pixel++) image.data[4 * pixel + 3] = 255;
  return PNG.sync.write(image, { colorType: 0 });
}
const line = (set: number, image: number, label: number | string) =>
  `imgs/${set} sample_${image}.png ${image} ${label} 1.0 14 4 2 0.5 1 1\n`;

/** Three sets of ten images: image i of set s begins with grey 80 s + 6 i, label i mod 2. Image 3 of set 1 is empty. */
function release(): Record<string, string | Uint8Array> {
  const files: Record<string, string | Uint8Array> = {};
  for (let set = 0; set < 3; set++) {
    const images = [...Array(10).keys()];
    files[`metadata/${set}.npy`] = images.map((image) => line(set, image, image % 2)).join("");
    for (const image of images) files[`imgs/${set}/sample_${image}.png`] = png(80 * set + 6 * image);
  }
  files["imgs/1/sample_3.png"] = "";
  return files;
}
const open = (files: Record<string, string | Uint8Array>, options: object = {}) =>
  pathfinderFiles({ dir: folder(files), cache: null, ...options });
const all = (task: ImageTask, split: Split) =>
  Array.from({ length: task.examples[split] }, (_, index) => task.example(split, index));

test("pathfinderFiles reads the released folders, without empty images, 80 : 10 : 10", async () => {
  const task = await open(release());
  assert.deepEqual(task.examples, { train: 25, validation: 2, test: 2 });
  assert.deepEqual([task.vocabulary, task.length, task.classes, task.kind], [256, 6, 2, "classify"]);
  const seen = (["train", "validation", "test"] as const).flatMap((split) => all(task, split));
  const expected = [0, 1, 2].flatMap((set) =>
    [...Array(10).keys()].filter((image) => set !== 1 || image !== 3).map((image) => [80 * set + 6 * image, image % 2]),
  );
  const found = seen.map(({ tokens, labels }) => [tokens[0], labels[0]]);
  assert.deepEqual(
    found.sort((x, y) => x[0] - y[0]),
    expected,
  );
  assert.ok(seen.every(({ tokens }) => tokens.every((token, at) => token === tokens[0] + at)));
});

test("pathfinderFiles masks the ground as the authors do, unless told, and splits alike under every seed", async () => {
  const dir = folder(release());
  const [masked, seen] = await Promise.all([
    pathfinderFiles({ dir, cache: null, seed: 1 }),
    pathfinderFiles({ dir, cache: null, seed: 2, blackIsPadding: false }),
  ]);
  const ground = all(masked, "train").find(({ tokens }) => tokens[0] === 0)!;
  assert.deepEqual([...ground.mask!], [0, 1, 1, 1, 1, 1]);
  assert.ok(all(seen, "train").every(({ mask }) => mask === undefined));
  const firsts = (task: ImageTask, split: Split) => all(task, split).map(({ tokens }) => tokens[0]);
  for (const split of ["validation", "test"] as const) assert.deepEqual(firsts(masked, split), firsts(seen, split));
  assert.notDeepEqual(firsts(masked, "train"), firsts(seen, "train"));
  assert.match(masked.describe(masked.example("test", 0)), /(one|no) path joins the discs$/);
});

test("pathfinderFiles refuses lines and images that are none, with file and line", async () => {
  const numpy = Buffer.concat([Buffer.from("\x93NUMPY\x01\x00v\x00{'descr': ", "latin1"), Buffer.alloc(30)]);
  const cases: [Record<string, string | Uint8Array>, RegExp, RegExp, number | undefined][] = [
    [
      { "metadata/1.npy": line(1, 0, 1) + line(1, 1, 2) },
      /a folder, a file, a number and a label 0 or 1, got "imgs/,
      /1\.npy$/,
      2,
    ],
    [{ "metadata/1.npy": `${line(1, 0, 1)}imgs/1 sample_1.p` }, /got "imgs\/1 sample_1\.p"/, /1\.npy$/, 2],
    [{ "metadata/1.npy": "imgs/../.. secret.png 0 1\n" }, /got "imgs\/\.\.\/\.\. secret/, /1\.npy$/, 1],
    [{ "metadata/1.npy": numpy }, /got "/, /1\.npy$/, 1],
    [{ "metadata/1.npy": line(1, 99, 1) }, /expected an image .*sample_99\.png, got ENOENT/, /1\.npy$/, 1],
    [{ "imgs/2/sample_4.png": png(1).subarray(0, 50) }, /expected a PNG image, got /, /sample_4\.png$/, undefined],
    [{ "imgs/2/sample_4.png": "not one" }, /expected a PNG image, got /, /sample_4\.png$/, undefined],
    [{ "imgs/2/sample_4.png": png(1, [3, 2]) }, /expected 2 × 3 pixels .*, got 3 × 2/, /sample_4\.png$/, undefined],
  ];
  for (const [files, message, file, number] of cases) {
    await assert.rejects(open({ ...release(), ...files }), (error) => {
      assert.ok(error instanceof DataError, String(error));
      assert.match(error.message, message);
      assert.match(error.file, file);
      assert.equal(error.line, number);
      return true;
    });
  }
  await assert.rejects(
    open({}),
    /pathfinderFiles: expected folders imgs\/N .*, got no such folder; unpack lra_release/,
  );
  await assert.rejects(open({ "metadata/a.txt": "" }), /got no \.npy files; unpack/);
  await assert.rejects(open({ "metadata/0.npy": "" }), /got no image; unpack/);
});

test("pathfinderFiles finds its images in the cache, and reads them anew when a folder has changed", async () => {
  const [dir, cache] = [folder(release()), folder()];
  let calls = 0;
  const onProgress = () => calls++;
  const read = await pathfinderFiles({ dir, cache, onProgress });
  const told = calls;
  const found = await pathfinderFiles({ dir, cache, onProgress });
  assert.ok(told > 0 && calls === told);
  assert.deepEqual(all(read, "train"), all(found, "train"));
  const file = join(dir, "imgs/1/sample_3.png");
  rmSync(file);
  writeFileSync(file, png(98));
  const { examples } = await pathfinderFiles({ dir, cache, onProgress });
  assert.ok(calls > told);
  assert.equal(examples.train + examples.validation + examples.test, 30);
});
