import { readdirSync, statSync } from "node:fs";
import { join, resolve } from "node:path";
import { DataError } from "./data-error.ts";

/** A file as it was when it was looked at. */
export interface Source {
  readonly path: string;
  readonly size: number;
  /** milliseconds since 1970 */
  readonly modified: number;
}

/** What a reader looks for, and where people get it. */
export interface Wanted {
  /** of the task, for messages */
  readonly reader: string;
  /** as in `basic_train.tsv, basic_val.tsv and basic_test.tsv` */
  readonly layout: string;
  /** as in `unpack lra_release.gz from https://…` */
  readonly remedy: string;
}

/**
 * Look at the files of a folder, by the names it gives them.
 *
 * @throws DataError when one is not there, with what was expected and where to get it
 */
export function findSources(wanted: Wanted, dir: string, names: readonly string[]): Source[] {
  return names.map((name) => {
    const path = resolve(dir, name);
    const found = lookAt(wanted, dir, path);
    if (!found?.isFile()) throw missing(wanted, dir, `no ${name}`);
    return { path, size: found.size, modified: found.mtimeMs };
  });
}

/** Undefined where there is no such file. */
function lookAt(wanted: Wanted, dir: string, path: string) {
  try {
    return statSync(path, { throwIfNoEntry: false });
  } catch (cause) {
    throw missing(wanted, dir, reasonOf(cause), cause);
  }
}

/** Why a folder cannot be read: most often it is the archive, not what was in it. */
function reasonOf(cause: unknown): string {
  const { code, message } = cause as NodeJS.ErrnoException;
  return code === "ENOTDIR" ? "a file, not a folder" : code === "ENOENT" ? "no such folder" : message;
}

/**
 * The names in a folder, in the order of their bytes, without those that begin with a dot.
 *
 * @param kind - what to list
 * @throws DataError when there is no such folder, or it cannot be read
 */
export function listFolder(wanted: Wanted, dir: string, kind: "files" | "folders"): string[] {
  let entries: ReturnType<typeof readEntries>;
  try {
    entries = readEntries(dir);
  } catch (cause) {
    throw missing(wanted, dir, reasonOf(cause), cause);
  }
  return entries
    .filter((entry) => !entry.name.startsWith("."))
    .filter((entry) => {
      const { name } = entry;
      const it = entry.isSymbolicLink() ? statSync(join(dir, name), { throwIfNoEntry: false }) : entry;
      return kind === "files" ? it?.isFile() : it?.isDirectory();
    })
    .map(({ name }) => name)
    .sort((one, other) => (one < other ? -1 : 1));
}

const readEntries = (dir: string) => readdirSync(dir, { withFileTypes: true });

/** The error of files that are not where they should be. */
export function missing({ reader, layout, remedy }: Wanted, dir: string, got: string, cause?: unknown): DataError {
  return new DataError(`${reader}: expected ${layout}, got ${got}; ${remedy}`, { file: dir, cause });
}
