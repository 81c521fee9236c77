import { DataError } from "../data/data-error.ts";
import { openRows, type ReadOptions } from "../data/open-rows.ts";
import { type Line, readLines } from "../data/read-lines.ts";
import { findSources, type Wanted } from "../data/sources.ts";
import { placesBetween, type RowSplits, rowSplits } from "./row-splits.ts";
import type { Split } from "./task.ts";

/** A task that has a file of lines for each split. */
export interface SplitFiles extends ReadOptions {
  /** of the task, for the file of rows */
  readonly name: string;
  readonly dir: string;
  readonly wanted: Wanted;
  readonly files: Readonly<Record<Split, string>>;
  /** what lines are, for messages */
  readonly what: string;
  /** bytes or tokens kept of each example, on which the rows depend */
  readonly maxLength: number;
  /** order of the training examples */
  readonly seed: number;
  /** Make a row of a line; null of a line that is no example. */
  readonly read: (line: Line, file: string) => Uint8Array | null;
}

/**
 * Read files line by line, once, into rows.
 *
 * @throws DataError when a file is missing or has no example, or as `read` does
 */
export async function openSplitFiles(task: SplitFiles): Promise<RowSplits> {
  const { name, dir, wanted, files, what, maxLength, seed, read, cache, onProgress } = task;
  const splits = Object.keys(files) as Split[];
  const sources = findSources(wanted, dir, Object.values(files));
  const rows = await openRows<Record<Split, number>>({
    name,
    sources,
    options: { maxLength },
    cache,
    onProgress,
    async fill(add, onBytes) {
      const counts = { train: 0, validation: 0, test: 0 };
      for (const [at, split] of splits.entries()) {
        const file = sources[at].path;
        for await (const line of readLines(wanted.reader, file, onBytes)) {
          const row = read(line, file);
          if (row === null) continue;
          add(row);
          counts[split]++;
        }
        if (counts[split] === 0) throw new DataError(`${wanted.reader}: expected ${what}, got none`, { file });
      }
      return counts;
    },
  });
  const { train, validation } = rows.facts;
  const places = {
    train: placesBetween(0, train),
    validation: placesBetween(train, train + validation),
    test: placesBetween(train + validation, rows.count),
  };
  return rowSplits(rows, places, seed);
}
