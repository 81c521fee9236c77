import { DataError } from "../data/data-error.ts";
import { openRows, type ReadOptions, readOptionNames } from "../data/open-rows.ts";
import { readBytes } from "../data/read-bytes.ts";
import type { OnBytes } from "../data/read-chunks.ts";
import { findSources, listFolder, missing, type Source, type Wanted } from "../data/sources.ts";
import { checkOptions } from "../known-name.ts";
import { checkBlackIsPadding, type ImageTask, imageExample, imageTask } from "./image-task.ts";
import { integerOptions, seedOption } from "./integer-options.ts";
import { placesBetween, rowSplits } from "./row-splits.ts";
import { checkShare } from "./share.ts";

export interface ImageOptions extends ReadOptions {
  /** the folder of CIFAR-10's binary files, or of IDX files */
  readonly dir: string;
  /** share of the training images, the last ones, that is for validation; 0.1 unless told */
  readonly validation?: number;
  /** whether black pixels count as padding, which is masked: true, as in the paper, unless told */
  readonly blackIsPadding?: boolean;
  /** order of the training images; the splits do not depend on it */
  readonly seed?: number;
}

/** What there must be in the folder. */
export const imageWanted: Wanted = {
  reader: "image",
  layout:
    "data_batch_1.bin … data_batch_5.bin and test_batch.bin, or train-images-idx3-ubyte, train-labels-idx1-ubyte and the same of test or t10k, .gz or not",
  remedy: "unpack cifar-10-binary.tar.gz of https://www.cs.toronto.edu/~kriz/cifar.html",
};

/**
 * Say what an image shows, reading its grey pixels row after row: 32 × 32 of CIFAR-10 are 1,024 tokens.
 *
 * Tokens are grey values 0 … 255, colours being turned into grey as TensorFlow does:
 *
 *     grey = ⌊255.5 · (0.2989 R + 0.5870 G + 0.1140 B) / 255⌋, in float32
 *
 * The first 90 % of the training images are for training, the last 10 % for validation. As in the authors' code a token
 * 0 is padding, so black pixels are masked; `blackIsPadding: false` lets them be seen.
 *
 * @throws DataError when files are missing, as one of CIFAR-10's six, or with the byte where one is cut short or no image with a label
 * @see Krizhevsky (2009), Learning multiple layers of features from tiny images, as in Tay et al. (2020), Long Range
 *   Arena, §2.2.4, https://arxiv.org/abs/2011.04006
 */
export async function image(options: ImageOptions): Promise<ImageTask> {
  checkOptions("image", options, ["dir", "validation", "blackIsPadding", "seed", ...readOptionNames]);
  const { dir, cache, onProgress, validation = 0.1, blackIsPadding = true, ...numbers } = options;
  const { seed } = integerOptions("image", numbers, { seed: seedOption });
  checkShare("image", "validation", validation);
  checkBlackIsPadding("image", blackIsPadding);

  const files = layout(dir);
  const rows = await openRows<Facts>({ name: "image", ...files, options: {}, cache, onProgress });
  const { width, height, classes, train } = rows.facts;
  const kept = train - Math.round(validation * train);
  const places = {
    train: placesBetween(0, kept),
    validation: placesBetween(kept, train),
    test: placesBetween(train, rows.count),
  };
  const { examples, read } = rowSplits(rows, places, seed);

  return imageTask({
    name: "image",
    width,
    height,
    classes,
    examples,
    example: (split, index) => imageExample(read(split, index), blackIsPadding),
    caption: ({ labels }) => `is of class ${labels[0]}`,
  });
}

const cifarFiles = [...[1, 2, 3, 4, 5].map((batch) => `data_batch_${batch}.bin`), "test_batch.bin"];

/** What is known of the rows, each a label and an image; those of training come first. */
interface Facts {
  readonly width: number;
  readonly height: number;
  readonly classes: number;
  readonly train: number;
}

interface Layout {
  readonly sources: readonly Source[];
  fill(add: (row: Uint8Array) => void, onBytes: OnBytes): Promise<Facts>;
}

function layout(dir: string): Layout {
  const names = listFolder(imageWanted, dir, "files");
  if (names.some((name) => /^data_batch_\d+\.bin$/.test(name))) {
    const absent = cifarFiles.filter((name) => !names.includes(name));
    if (absent.length > 0) throw missing(imageWanted, dir, `no ${absent.join(", ")}`);
    return cifar(findSources(imageWanted, dir, cifarFiles));
  }
  const part = (split: string, kind: string): string => {
    const found = names.filter((name) =>
      new RegExp(`(^|[-_.])(${split})[-_.]${kind}[-_.]idx\\d[-_.]ubyte(\\.gz)?$`).test(name),
    );
    if (found.length === 1) return found[0];
    throw missing(
      imageWanted,
      dir,
      found.length === 0 ? `no ${split.replace("|", " or ")} ${kind}` : found.join(" and "),
    );
  };
  const parts = ["train", "test|t10k"].flatMap((split) => [part(split, "images"), part(split, "labels")]);
  return idx(findSources(imageWanted, dir, parts));
}

const side = 32;

/** CIFAR-10's binary files: records of a label and an image's reds, greens and blues. */
function cifar(sources: readonly Source[]): Layout {
  const size = side * side;
  const record = 1 + 3 * size;

  async function fill(add: (row: Uint8Array) => void, onBytes: OnBytes): Promise<Facts> {
    let train = 0;
    for (const [at, source] of sources.entries()) {
      const { path } = source;
      if (source.size === 0) throw new DataError("image: expected images, got an empty file", { file: path, byte: 0 });
      const reader = readBytes("image", path, onBytes);
      for (let images = source.size / record; images > 0; images--) {
        const bytes = await reader.take(record, "a label and an image");
        if (bytes[0] > 9) {
          throw new DataError(`image: expected a label 0 … 9, got ${bytes[0]}`, {
            file: path,
            byte: reader.at - record,
          });
        }
        const row = new Uint8Array(1 + size);
        row[0] = bytes[0];
        for (let pixel = 1; pixel <= size; pixel++) {
          row[pixel] = grey(bytes[pixel], bytes[size + pixel], bytes[2 * size + pixel]);
        }
        add(row);
        if (at < sources.length - 1) train++;
      }
      await reader.end("the images");
    }
    return { width: side, height: side, classes: 10, train };
  }

  return { sources, fill };
}

const { fround } = Math;
const parts = [0.2989, 0.587, 0.114].map(fround);
const unit = fround(1 / 255);

/** The grey of a colour, both 0 … 255, rounded as tf.image.rgb_to_grayscale rounds bytes. */
function grey(red: number, green: number, blue: number): number {
  const part = (value: number, weight: number) => fround(fround(value * unit) * weight);
  const sum = fround(fround(part(red, parts[0]) + part(green, parts[1])) + part(blue, parts[2]));
  return Math.floor(fround(sum * 255.5));
}

/** IDX files: images and labels of training, images and labels of test. */
function idx(sources: readonly Source[]): Layout {
  async function fill(add: (row: Uint8Array) => void, onBytes: OnBytes): Promise<Facts> {
    const sizes: number[][] = [];
    let highest = 0;
    for (const at of [0, 2]) {
      const [images, labels] = [sources[at].path, sources[at + 1].path];
      const imageReader = readBytes("image", images, onBytes);
      const labelReader = readBytes("image", labels, onBytes);
      const size = await readSizes(imageReader, images, 3);
      const [count] = await readSizes(labelReader, labels, 1);
      if (count !== size[0]) {
        throw new DataError(`image: expected a label for each of ${size[0]} images, got ${count}`, {
          file: labels,
          byte: 4,
        });
      }
      const [, height, width] = size;
      if (sizes.length > 0 && (height !== sizes[0][1] || width !== sizes[0][2])) {
        const [, tall, wide] = sizes[0];
        throw new DataError(
          `image: expected images of ${tall} × ${wide} pixels as for training, got ${height} × ${width}`,
          { file: images, byte: 8 },
        );
      }
      sizes.push(size);
      const row = new Uint8Array(1 + height * width);
      for (let image = 0; image < count; image++) {
        const [label] = await labelReader.take(1, "a label");
        row[0] = label;
        highest = Math.max(highest, label);
        row.set(await imageReader.take(height * width, "an image"), 1);
        add(row);
      }
      await imageReader.end(`${count} images`);
      await labelReader.end(`${count} labels`);
    }
    const [[train, height, width]] = sizes;
    return { width, height, classes: highest + 1, train };
  }

  return { sources, fill };
}

/** Read the header of an IDX file of bytes. */
async function readSizes(reader: ReturnType<typeof readBytes>, file: string, rank: number): Promise<number[]> {
  const magic = (await reader.take(4, "the IDX header")).readUInt32BE();
  if (magic !== 0x800 + rank) {
    const got = `0x${magic.toString(16)}`;
    throw new DataError(`image: expected the IDX header 0x${(0x800 + rank).toString(16)}, got ${got}`, {
      file,
      byte: 0,
    });
  }
  const sizes = await reader.take(4 * rank, "the sizes");
  const read = Array.from({ length: rank }, (_, axis) => sizes.readUInt32BE(4 * axis));
  if (read.some((size) => size === 0) || read.slice(1).some((size) => size > 4096)) {
    throw new DataError(`image: expected sizes above 0 and edges up to 4096, got ${read.join(" × ")}`, {
      file,
      byte: 4,
    });
  }
  return read;
}
