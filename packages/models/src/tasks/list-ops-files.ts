import { DataError } from "../data/data-error.ts";
import { type ReadOptions, readOptionNames } from "../data/open-rows.ts";
import type { Wanted } from "../data/sources.ts";
import { checkOptions } from "../known-name.ts";
import { integerOptions, seedOption } from "./integer-options.ts";
import { encodeListOps, listOpsFacts } from "./list-ops.ts";
import { openSplitFiles } from "./open-split-files.ts";
import { padded, paddedLength } from "./padded.ts";
import { defineTask, type Example, type Split, type Task } from "./task.ts";

export interface ListOpsFilesOptions extends ReadOptions {
  /** the folder of the three files */
  readonly dir: string;
  /** tokens kept of a list; 2,000 unless told */
  readonly maxLength?: number;
  /** order of the training lists */
  readonly seed?: number;
}

const files = { train: "basic_train.tsv", validation: "basic_val.tsv", test: "basic_test.tsv" } as const;
const header = "Source\tTarget";

const wanted: Wanted = {
  reader: "listOpsFiles",
  layout: "basic_train.tsv, basic_val.tsv and basic_test.tsv",
  remedy:
    "unpack lra_release.gz of https://github.com/google-research/long-range-arena (folder listops-1000), or let listOps generate lists",
};

/**
 * Open the published lists of Long Range Arena, 96,000 for training, 2,000 for validation and 2,000 for test:
 *
 *     Source⇥Target
 *     ( ( ( ( [MAX 2 ) 9 ) ( ( ( [MIN 4 ) 7 ) ] ) ) ] )⇥9
 *
 * Examples are those of `listOps`: parentheses are left out, token ids are the same, and sequences are padded with 0 to
 * the next power of two. Empty lines are skipped. The 640 MB are read line by line, once; the cache has 100 MB.
 *
 * @throws DataError when a file is missing, or with the line that is no list with a digit
 * @see Tay et al. (2020), Long Range Arena, §2.2.1, https://arxiv.org/abs/2011.04006
 */
export async function listOpsFiles(options: ListOpsFilesOptions): Promise<Task> {
  checkOptions("listOpsFiles", options, ["dir", "maxLength", "seed", ...readOptionNames]);
  const { dir, cache, onProgress, ...numbers } = options;
  const { maxLength, seed } = integerOptions("listOpsFiles", numbers, {
    maxLength: { default: 2000, min: 1 },
    seed: seedOption,
  });
  const length = paddedLength(maxLength);
  const { examples, read } = await openSplitFiles({
    ...{ name: "listOps", dir, wanted, files, what: "lists", maxLength, seed, cache, onProgress },
    read({ number, bytes }, file) {
      const text = bytes.toString("latin1");
      if (number === 1) checkHeader(text, file);
      return number === 1 || text === "" ? null : readList(text, maxLength, { file, line: number });
    },
  });

  function example(split: Split, index: number): Example {
    const row = read(split, index);
    return { ...padded(row.subarray(1), length), labels: Int32Array.of(row[0]) };
  }

  return defineTask({ ...listOpsFacts, length, examples, example });
}

function checkHeader(text: string, file: string): void {
  if (text === header) return;
  const got = JSON.stringify(text.slice(0, 40));
  throw new DataError(`listOpsFiles: expected the header "Source\\tTarget", got ${got}`, { file, line: 1 });
}

/** The label, then the ids of the tokens. */
function readList(
  text: string,
  maxLength: number,
  place: { readonly file: string; readonly line: number },
): Uint8Array {
  const [source, target, ...more] = text.split("\t");
  if (target === undefined || more.length > 0 || !/^[0-9]$/.test(target)) {
    const got = target === undefined ? "no tab" : JSON.stringify([target, ...more].join("\t").slice(0, 40));
    throw new DataError(`listOpsFiles: expected a list, a tab and a digit, got ${got}`, place);
  }
  try {
    const ids = encodeListOps(source);
    if (ids.length > 0) return Uint8Array.of(Number(target), ...ids.subarray(0, maxLength));
  } catch (cause) {
    throw new DataError((cause as Error).message, { ...place, cause });
  }
  throw new DataError("listOpsFiles: expected a list, got nothing before the tab", place);
}
