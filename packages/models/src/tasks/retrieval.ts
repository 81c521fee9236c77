import { DataError } from "../data/data-error.ts";
import { type ReadOptions, readOptionNames } from "../data/open-rows.ts";
import type { Line } from "../data/read-lines.ts";
import type { Wanted } from "../data/sources.ts";
import { checkOptions } from "../known-name.ts";
import { byteVocabulary, decodeBytes, encodeBytes } from "./byte-tokens.ts";
import { integerOptions, seedOption } from "./integer-options.ts";
import { openSplitFiles } from "./open-split-files.ts";
import { padded, paddedLength } from "./padded.ts";
import { defineTask, type Example, type Split, type Task } from "./task.ts";

export interface RetrievalOptions extends ReadOptions {
  /** the folder of the three files */
  readonly dir: string;
  /** bytes kept of each text; 4,000 unless told */
  readonly maxLength?: number;
  /** order of the training pairs */
  readonly seed?: number;
}

const files = {
  train: "new_aan_pairs.train.tsv",
  validation: "new_aan_pairs.eval.tsv",
  test: "new_aan_pairs.test.tsv",
} as const;

/** What there must be in the folder. */
export const retrievalWanted: Wanted = {
  reader: "retrieval",
  layout: "new_aan_pairs.train.tsv, new_aan_pairs.eval.tsv and new_aan_pairs.test.tsv",
  remedy: "unpack lra_release.gz of https://github.com/google-research/long-range-arena (folder tsv_data)",
};

/**
 * Say whether one of two papers cites the other, reading both byte by byte. The published pairs of Long Range Arena,
 * 147,086 for training, 18,090 for validation, 17,437 for test, come one a line, without a header:
 *
 *     label⇥id of the first⇥id of the second⇥first text⇥second text
 *
 * Quotes are letters like any other. The label is 0 or 1, also written 0.0 or 1.0. Tokens are bytes + 1 of the first
 * `maxLength` bytes of each text, padded with 0 to the next power of two. Empty lines are skipped; a text may be empty.
 * The files are read line by line, once; afterwards memory holds no texts, and a pair, at most 8 kB, is read from the cache
 * when it is asked for.
 *
 * @throws DataError when a file is missing, or with the line that is no pair with a label
 * @see Radev, Muthukrishnan, Qazvinian (2009), The ACL anthology network, as in Tay et al. (2020), Long Range Arena,
 *   §2.2.3, https://arxiv.org/abs/2011.04006
 */
export async function retrieval(options: RetrievalOptions): Promise<Task> {
  checkOptions("retrieval", options, ["dir", "maxLength", "seed", ...readOptionNames]);
  const { dir, cache, onProgress, ...numbers } = options;
  const { maxLength, seed } = integerOptions("retrieval", numbers, {
    maxLength: { default: 4000, min: 1, max: 65_535, because: "a text's length is kept in 16 bits" },
    seed: seedOption,
  });
  const length = paddedLength(maxLength);
  const { examples, read } = await openSplitFiles({
    ...{ name: "retrieval", dir, wanted: retrievalWanted, files, what: "pairs", maxLength, seed, cache, onProgress },
    read: (line, file) => (line.bytes.length === 0 ? null : readPair(line, maxLength, file)),
  });

  function example(split: Split, index: number): Example {
    const row = read(split, index);
    const tokens = new Int32Array(2 * length);
    const mask = new Float32Array(2 * length);
    for (const [side, bytes] of textsOf(row).entries()) {
      const one = padded(encodeBytes(bytes), length);
      tokens.set(one.tokens, side * length);
      mask.set(one.mask, side * length);
    }
    return { tokens, mask, labels: Int32Array.of(row[0]) };
  }

  function describe({ tokens, labels }: Example): string {
    const [first, second] = [tokens.subarray(0, length), tokens.subarray(length)].map(decodeBytes);
    return `${first}\n${labels[0] === 1 ? "has a link to" : "has no link to"}\n${second}`;
  }

  return defineTask({
    name: "retrieval",
    kind: "classify-pairs",
    causal: false,
    vocabulary: byteVocabulary,
    length,
    classes: 2,
    examples,
    example,
    describe,
  });
}

const tab = 9;
/** Bytes of a row before its texts: the label, and the length of the first text in 16 bits. */
const beginning = 3;

function readPair({ number, bytes }: Line, maxLength: number, file: string): Uint8Array {
  const columns: Buffer[] = [];
  let start = 0;
  for (let end = bytes.indexOf(tab); end >= 0; end = bytes.indexOf(tab, start)) {
    columns.push(bytes.subarray(start, end));
    start = end + 1;
  }
  columns.push(bytes.subarray(start));
  if (columns.length !== 5) {
    const expected = "5 columns (label, two ids, two texts) with tabs between";
    throw new DataError(`retrieval: expected ${expected}, got ${columns.length}`, { file, line: number });
  }
  const label = columns[0].toString("latin1");
  if (!/^[01](\.0*)?$/.test(label)) {
    const got = JSON.stringify(label.slice(0, 40));
    throw new DataError(`retrieval: expected a label 0 or 1, got ${got}`, { file, line: number });
  }
  const [first, second] = columns.slice(3).map((text) => text.subarray(0, maxLength));
  const row = Buffer.alloc(beginning + first.length + second.length);
  row[0] = Number(label);
  row.writeUInt16LE(first.length, 1);
  row.set(first, beginning);
  row.set(second, beginning + first.length);
  return row;
}

function textsOf(row: Uint8Array): readonly [Uint8Array, Uint8Array] {
  const middle = beginning + row[1] + 256 * row[2];
  return [row.subarray(beginning, middle), row.subarray(middle)];
}
