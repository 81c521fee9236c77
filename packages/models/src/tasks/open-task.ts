import { checkName } from "../known-name.ts";
import { associativeRecall } from "./associative-recall.ts";
import { characters } from "./characters.ts";
import { copy } from "./copy.ts";
import { digits } from "./digits.ts";
import { image } from "./image.ts";
import { listOps } from "./list-ops.ts";
import { listOpsFiles } from "./list-ops-files.ts";
import { pathfinder } from "./pathfinder.ts";
import { pathfinderFiles } from "./pathfinder-files.ts";
import { retrieval } from "./retrieval.ts";
import { switchBoard } from "./switch-board.ts";
import type { Task } from "./task.ts";
import { text } from "./text.ts";
import { words } from "./words.ts";

/** Where a task's files are, and its options. */
export interface OpenTaskOptions {
  /** The folder of a task that reads files; one that can make its examples does so without */
  readonly dir?: string | undefined;
  /** Called while files are read for the first time, with the bytes read so far and in all */
  readonly onProgress?: ((read: number, size: number) => void) | undefined;
  /** The task's own options, such as seed, length or side */
  readonly options?: { readonly [name: string]: number | string };
}

type Open = (options: OpenTaskOptions) => Task | Promise<Task>;

/** A task that makes its examples. */
const generated =
  (name: string, make: (options: object) => Task): Open =>
  ({ dir, options = {} }) => {
    if (dir === undefined) return make(options);
    throw new TypeError(`${name}: expected no folder, got ${dir}; this task makes its examples`);
  };

/** A task over files. */
const read =
  (name: string, files: string, open: (options: never) => Promise<Task>): Open =>
  ({ dir, onProgress, options = {} }) => {
    if (dir === undefined) {
      throw new TypeError(`${name}: expected a folder of ${files}, got none; give it (--data DIR)`);
    }
    return open({ ...options, dir, ...(onProgress && { onProgress }) } as never);
  };

/** A task over files, or, without a folder, one that makes its examples; its options are those of the latter. */
const either =
  (make: (options: object) => Task, reading: Open): Open =>
  (given) =>
    given.dir === undefined ? make(given.options as object) : reading({ ...given, options: {} });

const openers: { readonly [task: string]: Open } = {
  listops: either(listOps, read("listops", "TSV files", listOpsFiles)),
  text: read("text", "texts, as aclImdb of https://ai.stanford.edu/~amaas/data/sentiment/", text),
  retrieval: read("retrieval", "new_aan_pairs.*.tsv of https://github.com/google-research/long-range-arena", retrieval),
  image: read("image", "images, as CIFAR-10 of https://www.cs.toronto.edu/~kriz/cifar.html", image),
  pathfinder: either(pathfinder, read("pathfinder", "images", pathfinderFiles)),
  copy: generated("copy", copy),
  lm: read("lm", "words, as wikitext-103-v1.zip of https://wikitext.smerity.com", words),
  characters: read("characters", "any texts", characters),
  digits: generated("digits", digits),
  "switch-board": generated("switch-board", switchBoard),
  "associative-recall": generated("associative-recall", associativeRecall),
};

/** The tasks that can be opened by name. */
export const taskNames: readonly string[] = Object.keys(openers);

/**
 * Open a task by name, as commands do.
 *
 * @throws TypeError with the nearest name when there is none, or a folder is missing or too much / DataError when files are missing or damaged
 *   / RangeError when an option is out of bounds
 */
export async function openTask(name: string, options: OpenTaskOptions = {}): Promise<Task> {
  return await openers[checkName("openTask", "task", name, taskNames)](options);
}
