import { checkName } from "../known-name.ts";
import { associativeRecall } from "./associative-recall.ts";
import { copy } from "./copy.ts";
import { digits } from "./digits.ts";
import { listOps } from "./list-ops.ts";
import { listOpsFiles } from "./list-ops-files.ts";
import { pathfinder } from "./pathfinder.ts";
import { switchBoard } from "./switch-board.ts";
import type { Task } from "./task.ts";
import { text } from "./text.ts";

/** Where a task's files are, and its numbers. */
export interface OpenTaskOptions {
  /** The folder of a task that reads files; one that can make its examples does so without */
  readonly dir?: string | undefined;
  /** Called while files are read for the first time, with the bytes read so far and in all */
  readonly onProgress?: ((read: number, size: number) => void) | undefined;
  /** The task's own options, such as seed, length or side */
  readonly numbers?: { readonly [name: string]: number };
}

/** The tasks that can be opened by name. */
export type TaskName = "listops" | "text" | "pathfinder" | "copy" | "digits" | "switch-board" | "associative-recall";

type Open = (options: OpenTaskOptions) => Task | Promise<Task>;

/** A task that makes its examples. */
const generated =
  (name: string, make: (numbers: object) => Task): Open =>
  ({ dir, numbers = {} }) => {
    if (dir === undefined) return make(numbers);
    throw new TypeError(`${name}: expected no folder, got ${dir}; this task makes its examples`);
  };

/** A task over files. */
const read =
  (name: string, files: string, open: (options: never) => Promise<Task>): Open =>
  ({ dir, onProgress, numbers = {} }) => {
    if (dir === undefined)
      throw new TypeError(`${name}: expected a folder of ${files}, got none; give it (--data DIR)`);
    return open({ ...numbers, dir, ...(onProgress && { onProgress }) } as never);
  };

const openers: { readonly [task in TaskName]: Open } = {
  listops: (options) =>
    options.dir === undefined ? listOps(options.numbers) : read("listops", "TSV files", listOpsFiles)(options),
  text: read("text", "texts, as aclImdb of https://ai.stanford.edu/~amaas/data/sentiment/", text),
  pathfinder: generated("pathfinder", pathfinder),
  copy: generated("copy", copy),
  digits: generated("digits", digits),
  "switch-board": generated("switch-board", switchBoard),
  "associative-recall": generated("associative-recall", associativeRecall),
};

export const taskNames: readonly TaskName[] = Object.keys(openers) as TaskName[];

/**
 * Open a task by name, as commands do.
 *
 * @throws TypeError with the nearest name when there is none, or a folder is missing or too much / DataError when files are missing or damaged / RangeError when a number is
 *   out of bounds
 */
export async function openTask(name: string, options: OpenTaskOptions = {}): Promise<Task> {
  return await (openers[checkName("openTask", "task", name, taskNames)] as Open)(options);
}
