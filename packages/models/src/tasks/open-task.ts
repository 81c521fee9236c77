import type { ReadOptions } from "../data/open-rows.ts";
import type { Wanted } from "../data/sources.ts";
import { checkName } from "../known-name.ts";
import { associativeRecall } from "./associative-recall.ts";
import { characters } from "./characters.ts";
import { copy } from "./copy.ts";
import { digits } from "./digits.ts";
import { image, imageWanted } from "./image.ts";
import { listOps, listOpsSizes } from "./list-ops.ts";
import { listOpsFiles } from "./list-ops-files.ts";
import { pathfinder } from "./pathfinder.ts";
import { pathfinderFiles } from "./pathfinder-files.ts";
import { retrieval, retrievalWanted } from "./retrieval.ts";
import { switchBoard } from "./switch-board.ts";
import type { Task } from "./task.ts";
import { text, textWanted } from "./text.ts";
import { wantedText } from "./text-sources.ts";
import { words } from "./words.ts";

/** Options by name, as programs or command lines give them: numbers and truth values may be text. */
export interface OpenTaskOptions extends Pick<ReadOptions, "onProgress"> {
  /** the folder of a task's files */
  readonly dir?: string | undefined;
  readonly [option: string]: unknown;
}

/** What an option may be. */
interface Kind {
  /** for messages */
  readonly expected: string;
  /** Turn what was given into what a task takes; undefined where it is nothing of the kind. */
  readonly read: (given: unknown) => unknown;
}

const number: Kind = {
  expected: "a number",
  read: (given) => {
    const value = typeof given === "string" && given.trim() !== "" ? Number(given) : given;
    return typeof value === "number" && !Number.isNaN(value) ? value : undefined;
  },
};
const name: Kind = {
  expected: "text",
  read: (given) => (typeof given === "string" && given !== "" ? given : undefined),
};
const truth: Kind = {
  expected: "true or false",
  read: (given) => (typeof given === "boolean" ? given : { true: true, false: false }[String(given)]),
};
const shareOrTest: Kind = {
  expected: '"test" or a number',
  read: (given) => (given === "test" ? given : number.read(given)),
};
const cache: Kind = {
  expected: 'a folder, or "none"',
  read: (given) => (given === "none" || given === null ? null : name.read(given)),
};
const called: Kind = {
  expected: "a function",
  read: (given) => (typeof given === "function" ? given : undefined),
};

type Kinds = Readonly<Record<string, Kind>>;

interface Entry {
  readonly options: Kinds;
  // The kinds see to the types of the options; the tasks to their values.
  open(options: never): Task | Promise<Task>;
  /** What files there must be; absent where none are needed */
  readonly wanted?: Wanted;
}

/** A task that `openTask` knows. */
export type TaskName =
  | "listops"
  | "text"
  | "retrieval"
  | "image"
  | "pathfinder"
  | "copy"
  | "words"
  | "characters"
  | "digits"
  | "switch-board"
  | "associative-recall";

const numbers = (...names: readonly string[]): Kinds => Object.fromEntries(names.map((option) => [option, number]));
const files: Kinds = { dir: name, seed: number, cache, onProgress: called };
const running: Kinds = { ...files, ...numbers("validation", "test", "length"), file: name };

/** Each task without `dir`, and where it differs, with it. */
const entries: Readonly<Record<TaskName, Entry & { readonly withDir?: Entry }>> = {
  listops: {
    options: {
      ...numbers("maxDepth", "maxArgs", "minLength", "maxLength", "train", "validation", "test", "seed"),
      size: name,
    },
    open: ({ size = "paper", ...rest }: { size?: string }) => {
      const sizes = Object.keys(listOpsSizes) as (keyof typeof listOpsSizes)[];
      return listOps({ ...listOpsSizes[checkName("listops", "size", size, sizes)], ...rest });
    },
    withDir: { options: { ...files, maxLength: number }, open: listOpsFiles },
  },
  text: {
    options: { ...files, ...numbers("maxLength", "test"), validation: shareOrTest },
    open: text,
    wanted: textWanted,
  },
  retrieval: { options: { ...files, maxLength: number }, open: retrieval, wanted: retrievalWanted },
  image: { options: { ...files, validation: number, blackIsPadding: truth }, open: image, wanted: imageWanted },
  pathfinder: {
    options: numbers("side", "contourLength", "distractorLength", "distractors", "train", "validation", "test", "seed"),
    open: pathfinder,
    withDir: { options: { ...files, blackIsPadding: truth }, open: pathfinderFiles },
  },
  copy: { options: numbers("length", "symbols", "seed"), open: copy },
  words: { options: { ...running, maxVocabulary: number }, open: words, wanted: wantedText("words") },
  characters: { options: running, open: characters, wanted: wantedText("characters") },
  digits: { options: numbers("side", "levels", "seed"), open: digits },
  "switch-board": {
    options: numbers("votes", "majority", "symbols", "alphabet", "reach", "seed"),
    open: switchBoard,
  },
  "associative-recall": {
    options: numbers("length", "keys", "values", "pairs", "reach", "seed"),
    open: associativeRecall,
  },
};

/** All of them. */
export const taskNames: readonly TaskName[] = Object.keys(entries) as TaskName[];

/** The task of a name, which the experiment with words goes by as well: "lm". */
export function taskNamed(task: string): TaskName {
  return task === "lm" ? "words" : checkName("openTask", "task", task, taskNames);
}

/** Whether a task can do without files. */
export function makesExamples(task: string): boolean {
  return entries[taskNamed(task)].wanted === undefined;
}

function entryOf(task: TaskName, dir: boolean): Entry {
  const entry = entries[task];
  return (dir && entry.withDir) || entry;
}

/**
 * The names of a task's options.
 *
 * @param dir - whether its files are read, where it could make examples as well; false unless told
 * @throws TypeError with the nearest name when there is no such task
 */
export function taskOptions(task: string, dir = false): string[] {
  return Object.keys(entryOf(taskNamed(task), dir).options);
}

/**
 * Open a task by its name, with options by theirs: `openTask("listops", { size: "small", seed: "1" })`.
 *
 * ListOps and Pathfinder make their examples, or read those of the folder `dir`. An option that is undefined counts for
 * nothing, and so does `onProgress` where nothing is read; `cache: "none"` is `cache: null`. "lm" is another name of
 * words.
 *
 * @throws TypeError when the name or an option is unknown, with the nearest one, or not of its kind, or when files are
 *   needed and nothing says where, with which they are and where to get them
 *   / DataError when files are not what they should be / RangeError when an option is out of bounds
 */
export async function openTask(task: string, options: OpenTaskOptions = {}): Promise<Task> {
  const known = taskNamed(task);
  const { dir, file } = options;
  const { options: kinds, open, wanted } = entryOf(known, dir !== undefined);
  if (dir !== undefined && !("dir" in kinds)) {
    throw new TypeError(`${known}: expected no folder, got ${dir}; this task makes its examples`);
  }
  if (wanted !== undefined && dir === undefined && file === undefined) {
    const folder = `a folder (dir, or --data DIR) with ${wanted.layout}`;
    throw new TypeError(`${known}: expected ${folder}, got none; ${wanted.remedy}`);
  }
  const read: Record<string, unknown> = {};
  for (const [option, value] of Object.entries(options)) {
    if (value === undefined || (option === "onProgress" && !(option in kinds))) continue;
    const kind = kinds[checkName(known, "options", option, Object.keys(kinds))];
    read[option] = kind.read(value);
    if (read[option] === undefined) {
      throw new TypeError(`${known}: expected ${option} to be ${kind.expected}, got ${JSON.stringify(value)}`);
    }
  }
  return open(read as never);
}
