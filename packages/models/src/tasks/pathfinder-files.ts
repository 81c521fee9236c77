import { readFileSync, statSync } from "node:fs";
import { createRequire } from "node:module";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { DataError } from "../data/data-error.ts";
import { openRows, type ReadOptions, readOptionNames } from "../data/open-rows.ts";
import { type Line, readLines } from "../data/read-lines.ts";
import { findSources, listFolder, missing, type Wanted } from "../data/sources.ts";
import { checkOptions } from "../known-name.ts";
import { checkBlackIsPadding, type ImageTask, imageExample, imageTask } from "./image-task.ts";
import { integerOptions, seedOption } from "./integer-options.ts";
import { joinedOrNot } from "./pathfinder.ts";
import { placesBetween, rowSplits } from "./row-splits.ts";
import { stream } from "./stream.ts";

export interface PathfinderFilesOptions extends ReadOptions {
  /** a folder with `imgs` and `metadata`, as in `pathfinder32/curv_contour_length_14` */
  readonly dir: string;
  /** whether black pixels count as padding, which is masked: true, as in the paper, unless told */
  readonly blackIsPadding?: boolean;
  /** order of the training images; the splits do not depend on it */
  readonly seed?: number;
}

const wanted: Wanted = {
  reader: "pathfinderFiles",
  layout: "folders imgs/N of images sample_K.png, and metadata/N.npy",
  remedy:
    "unpack lra_release.gz of https://github.com/google-research/long-range-arena (folder pathfinder32/curv_contour_length_14), or let pathfinder generate images",
};

/**
 * Open the published images of Long Range Arena's Pathfinder: 200,000 of 32 × 32 pixels, in which one path joins two
 * discs, label 1, or none does, label 0.
 *
 * The images are those that the lines of `metadata/N.npy` name, which are text in spite of the name: folder, file,
 * number, label and what it was drawn with. Images of 0 bytes, of which there are some, are left out. All are put in one
 * random order, drawn once for all seeds: 80 % for training, 10 % for validation, 10 % for test. Tokens are grey values;
 * 0 is padding unless told.
 *
 * @throws DataError when folders are missing, or with the line that names no image with a label, or with the image
 * @see Linsley, Kim, Veerabadran, Windolf, Serre (2018), Learning long-range spatial dependencies with horizontal gated
 *   recurrent units, https://arxiv.org/abs/1805.08315, as in Tay et al. (2020), Long Range Arena, §2.2.5,
 *   https://arxiv.org/abs/2011.04006
 */
export async function pathfinderFiles(options: PathfinderFilesOptions): Promise<ImageTask> {
  checkOptions("pathfinderFiles", options, ["dir", "blackIsPadding", "seed", ...readOptionNames]);
  const { dir, cache, onProgress, blackIsPadding = true, ...numbers } = options;
  const { seed } = integerOptions("pathfinderFiles", numbers, { seed: seedOption });
  checkBlackIsPadding("pathfinderFiles", blackIsPadding);
  const folder = join(dir, "metadata");
  const names = listFolder(wanted, folder, "files").filter((name) => name.endsWith(".npy"));
  if (names.length === 0) throw missing(wanted, folder, "no .npy files");
  const byNumber = names.sort((one, other) => Number.parseInt(one, 10) - Number.parseInt(other, 10));
  const sources = findSources(wanted, folder, byNumber);

  const rows = await openRows<Facts>({
    name: "pathfinder",
    sources,
    options: { images: byNumber.map((name) => modified(join(dir, "imgs", name.slice(0, -4)))) },
    cache,
    onProgress,
    async fill(add, onBytes) {
      let facts: Facts | undefined;
      for (const { path } of sources) {
        for await (const line of readLines("pathfinderFiles", path, onBytes)) {
          if (line.bytes.length === 0) continue;
          const { image, label } = readLine(line, path);
          const found = readImage(join(dir, image), { file: path, line: line.number });
          if (found === undefined) continue;
          const { width, height } = found;
          facts ??= { width, height };
          if (width !== facts.width || height !== facts.height) {
            const size = `${facts.width} × ${facts.height} pixels as in the images before`;
            throw new DataError(`pathfinderFiles: expected ${size}, got ${width} × ${height}`, {
              file: join(dir, image),
            });
          }
          add(Buffer.concat([Buffer.of(label), found.pixels]));
          if (line.number % 200 === 0) await setImmediate();
        }
      }
      if (facts === undefined) throw missing(wanted, dir, "no image");
      return facts;
    },
  });

  const { count } = rows;
  if (count < 10) throw missing(wanted, dir, `${count} images, too few to split`);
  const order = stream(0, "all", 0).shuffle(placesBetween(0, count));
  const tenth = Math.floor(count / 10);
  const places = {
    train: order.slice(0, count - 2 * tenth),
    validation: order.slice(count - 2 * tenth, count - tenth),
    test: order.slice(count - tenth),
  };
  const { examples, read } = rowSplits(rows, places, seed);

  return imageTask({
    name: "pathfinder",
    ...rows.facts,
    classes: 2,
    examples,
    example: (split, index) => imageExample(read(split, index), blackIsPadding),
    caption: joinedOrNot,
  });
}

/** What is known of the rows, each a label and an image. */
interface Facts {
  readonly width: number;
  readonly height: number;
}

/** When something was put into a folder last; 0 where there is none. */
function modified(folder: string): number {
  return statSync(folder, { throwIfNoEntry: false })?.mtimeMs ?? 0;
}

function readLine({ number, bytes }: Line, file: string): { readonly image: string; readonly label: number } {
  const text = bytes.toString("latin1");
  const [folder, name, , label] = text.split(/\s+/);
  // Nothing that a file says leads out of the folder that was asked for.
  const isName = /^(?!\.)[\w.-]+(\/(?!\.)[\w.-]+)*$/;
  if (!isName.test(folder) || !isName.test(name ?? "") || !/^[01](\.0*)?$/.test(label ?? "")) {
    const got = JSON.stringify(text.slice(0, 60));
    const expected = "a folder, a file, a number and a label 0 or 1";
    throw new DataError(`pathfinderFiles: expected ${expected}, got ${got}`, { file, line: number });
  }
  return { image: join(folder, name), label: Number(label) };
}

interface Png {
  readonly width: number;
  readonly height: number;
  /** red, green, blue and opacity of each pixel */
  readonly data: Uint8Array;
}

/** Read the reds of an image, which is grey. Undefined where the file is empty. */
function readImage(file: string, place: { readonly file: string; readonly line: number }) {
  let bytes: Buffer;
  try {
    bytes = readFileSync(file);
  } catch (cause) {
    throw new DataError(`pathfinderFiles: expected an image ${file}, got ${(cause as Error).message}`, {
      ...place,
      cause,
    });
  }
  if (bytes.length === 0) return undefined;
  let png: Png;
  try {
    png = readPng(bytes);
  } catch (cause) {
    throw new DataError(`pathfinderFiles: expected a PNG image, got ${(cause as Error).message}`, { file, cause });
  }
  const { width, height, data } = png;
  return { width, height, pixels: Uint8Array.from({ length: width * height }, (_, pixel) => data[4 * pixel]) };
}

let reader: ((bytes: Uint8Array) => Png) | undefined;

/** pngjs has no types of its own, and is loaded when there is an image to read. */
function readPng(bytes: Uint8Array): Png {
  reader ??= (createRequire(import.meta.url)("pngjs") as { PNG: { sync: { read: typeof readPng } } }).PNG.sync.read;
  return reader(bytes);
}
