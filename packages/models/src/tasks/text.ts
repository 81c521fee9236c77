import { closeSync, openSync, readSync } from "node:fs";
import { join } from "node:path";
import { setImmediate } from "node:timers/promises";
import { DataError } from "../data/data-error.ts";
import { openRows, type ReadOptions, readOptionNames } from "../data/open-rows.ts";
import { findSources, listFolder, missing, type Wanted } from "../data/sources.ts";
import { checkOptions } from "../known-name.ts";
import { byteVocabulary, decodeBytes, encodeBytes } from "./byte-tokens.ts";
import { integerOptions, seedOption } from "./integer-options.ts";
import { padded, paddedLength } from "./padded.ts";
import { holdOut, type Places, placesBetween, rowSplits } from "./row-splits.ts";
import { checkShare } from "./share.ts";
import { defineTask, type Example, type Split, type Task } from "./task.ts";

export interface TextOptions extends ReadOptions {
  /** a folder with `train` and `test`, each with a folder per class; or a folder with a folder per class */
  readonly dir: string;
  /** bytes kept of a text; 1,000 unless told */
  readonly maxLength?: number;
  /**
   * which texts are for validation: those of the test split, as in the paper, or a share of those for training. "test"
   * unless told; 0.1 where there is no `test`
   */
  readonly validation?: "test" | number;
  /** share of the texts that is for test where there is no folder `test`; 0.1 unless told */
  readonly test?: number;
  /** order of the training texts; the splits do not depend on it */
  readonly seed?: number;
}

/** What there must be in the folder. */
export const textWanted: Wanted = {
  reader: "text",
  layout: "folders train/pos, train/neg, test/pos and test/neg of .txt files, or one folder per class",
  remedy: "unpack aclImdb_v1.tar.gz of https://ai.stanford.edu/~amaas/data/sentiment/ and pass its folder aclImdb",
};

/**
 * Say which class a text is of, reading it byte by byte: reviews of films, each praise or blame.
 *
 * Texts are the files `*.txt` in one folder per class, as in aclImdb (25,000 for training, 25,000 for test). Classes are
 * the folders that both splits have, in the order of their names: neg is 0, pos is 1. Tokens are bytes + 1 of the first
 * `maxLength` bytes, padded with 0 to the next power of two. The paper has no validation split of its own: it validates
 * on the test split, and so does the default; choices made with it are made on the test split.
 *
 * @throws DataError when the folders are not there, or with the file that is empty
 * @see Maas et al. (2011), Learning word vectors for sentiment analysis, https://aclanthology.org/P11-1015, by bytes as
 *   in Tay et al. (2020), Long Range Arena, §2.2.2, https://arxiv.org/abs/2011.04006
 */
export async function text(options: TextOptions): Promise<Task> {
  checkOptions("text", options, ["dir", "maxLength", "validation", "test", "seed", ...readOptionNames]);
  const { dir, cache, onProgress, validation, test: testShare = 0.1, ...numbers } = options;
  const { maxLength, seed } = integerOptions("text", numbers, {
    maxLength: { default: 1000, min: 1 },
    seed: seedOption,
  });
  if (validation !== "test" && validation !== undefined) checkShare("text", "validation", validation, '"test" or ');
  checkShare("text", "test", testShare);
  const length = paddedLength(maxLength);

  const { classes, parts } = layout(dir);
  const groups = parts.flatMap((part) =>
    classes.map((name, label) => {
      const folder = join(dir, part, name);
      const names = listFolder(textWanted, folder, "files").filter((file) => file.endsWith(".txt"));
      if (names.length === 0) throw missing(textWanted, folder, "a folder without .txt files");
      return { label, part, sources: findSources(textWanted, folder, names) };
    }),
  );
  const count = (part: string) =>
    groups.reduce((sum, group) => sum + (group.part === part ? group.sources.length : 0), 0);

  const rows = await openRows({
    name: "text",
    sources: groups.flatMap(({ sources }) => sources),
    options: { maxLength },
    cache,
    onProgress,
    async fill(add, onBytes) {
      const row = Buffer.alloc(1 + maxLength);
      let files = 0;
      for (const { label, sources } of groups) {
        row[0] = label;
        for (const { path, size } of sources) {
          const read = readBeginning(path, row.subarray(1));
          if (read === 0) throw new DataError("text: expected a text, got an empty file; remove it", { file: path });
          add(row.subarray(0, 1 + read));
          onBytes(size);
          if (++files % 500 === 0) await setImmediate();
        }
      }
      return {};
    },
  });

  const places = place(parts.length === 1 ? rows.count : count(parts[0]));
  const { examples, read } = rowSplits(rows, places, seed);

  /** Put the first rows, those that are not of a folder `test`, into splits. */
  function place(first: number): Places {
    const own = placesBetween(0, first);
    const [rest, test] = parts.length === 1 ? holdOut(own, testShare) : [own, placesBetween(first, rows.count)];
    const share = validation ?? (parts.length === 1 ? 0.1 : "test");
    if (share === "test") return { train: rest, validation: test, test };
    const [train, held] = holdOut(rest, share);
    return { train, validation: held, test };
  }

  function example(split: Split, index: number): Example {
    const row = read(split, index);
    return { ...padded(encodeBytes(row.subarray(1)), length), labels: Int32Array.of(row[0]) };
  }

  return defineTask({
    name: "text",
    kind: "classify",
    causal: false,
    vocabulary: byteVocabulary,
    length,
    classes: classes.length,
    examples,
    example,
    describe: ({ tokens, labels }) => `${classes[labels[0]]}: ${decodeBytes(tokens)}`,
  });
}

/** The classes of a folder, and the folders that are splits: `train` and `test`, or the folder itself. */
function layout(dir: string): { readonly classes: readonly string[]; readonly parts: readonly string[] } {
  const names = listFolder(textWanted, dir, "folders");
  const split = names.includes("train") && names.includes("test");
  const tests = split ? listFolder(textWanted, join(dir, "test"), "folders") : [];
  const classes = split
    ? listFolder(textWanted, join(dir, "train"), "folders").filter((name) => tests.includes(name))
    : names;
  if (classes.length < 2 || classes.length > 256) throw missing(textWanted, dir, `${classes.length} classes`);
  return { classes, parts: split ? ["train", "test"] : ["."] };
}

/** Fill a buffer from a file. Returns how many bytes there were. */
function readBeginning(file: string, into: Uint8Array): number {
  let descriptor: number | undefined;
  try {
    descriptor = openSync(file, "r");
    let done = 0;
    for (let read = 1; read > 0 && done < into.length; done += read) {
      read = readSync(descriptor, into, done, into.length - done, null);
    }
    return done;
  } catch (cause) {
    throw new DataError(`text: expected a file that can be read, got ${(cause as Error).message}`, { file, cause });
  } finally {
    if (descriptor !== undefined) closeSync(descriptor);
  }
}
