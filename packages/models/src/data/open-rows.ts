import { createHash, randomBytes } from "node:crypto";
import { mkdirSync, readdirSync, renameSync, rmSync, statSync } from "node:fs";
import { homedir } from "node:os";
import { basename, join } from "node:path";
import { DataError } from "./data-error.ts";
import type { OnBytes } from "./read-chunks.ts";
import { openRowFile, type Rows, writeRowFile } from "./row-file.ts";
import type { Source } from "./sources.ts";

/** What every task over files takes. */
export interface ReadOptions {
  /**
   * folder for what has been read once, `$XDG_CACHE_HOME/fmmformer` or else `~/.cache/fmmformer` unless told; null: keep
   * everything in memory and nothing on the disk
   */
  readonly cache?: string | null | undefined;
  /** called while files are read for the first time, with the bytes read so far and in all */
  readonly onProgress?: ((read: number, size: number) => void) | undefined;
}

/** The names of the options above, for checks. */
export const readOptionNames = ["cache", "onProgress"] as const;

/** How to make rows of files. */
export interface RowsRule<Facts> extends ReadOptions {
  /** of the task, for messages and the file's name */
  readonly name: string;
  /** the files that the rows are made of */
  readonly sources: readonly Source[];
  /** the options that the rows depend on */
  readonly options: object;
  /** Read the files and add the rows. What it returns is kept beside them, as JSON. */
  fill(add: (row: Uint8Array) => void, onBytes: OnBytes): Promise<Facts>;
}

// Raise it when the rows of any task change.
const version = 2;

/**
 * Read files into rows once: the next call finds them in a file of the cache, and a row is read when it is asked for.
 *
 * The file is named by a hash of the version, the options, and the paths, sizes and times of the sources: a source that
 * changed is read again. It is written under another name and renamed when whole; one that is damaged is made anew. What
 * was written goes when the process exits before; where it was killed, an hour later.
 *
 * @throws DataError when a source is not what it should be, or the cache cannot be written. Then nothing is left behind
 */
export async function openRows<Facts>(rule: RowsRule<Facts>): Promise<Rows<Facts>> {
  const { name, cache = defaultCache(), fill, onProgress } = rule;
  const size = rule.sources.reduce((sum, source) => sum + source.size, 0);
  let read = 0;
  const onBytes = (bytes: number) => {
    read += bytes;
    onProgress?.(read, size);
  };
  if (cache === null) return fillMemory((add) => fill(add, onBytes));

  const file = join(cache, `${name}-${fingerprint(rule)}.rows`);
  const written = <Result>(write: () => Result): Result => {
    try {
      return write();
    } catch (cause) {
      const { code, message } = cause as NodeJS.ErrnoException;
      const remedy = "pass another folder as cache, or null for none";
      if (code === undefined || cause instanceof DataError) throw cause;
      throw new DataError(`${name}: expected a cache that can be written, got ${message}; ${remedy}`, { file, cause });
    }
  };

  const known = written(() => openRowFile<Facts>(name, file));
  if (known !== undefined) return known;
  written(() => {
    mkdirSync(cache, { recursive: true });
    removeAbandoned(cache, file);
  });
  const part = `${file}.${randomBytes(6).toString("hex")}.part`;
  const writer = written(() => writeRowFile<Facts>(part));
  const drop = (): void => {
    writer.close();
    rmSync(part, { force: true });
  };
  process.once("exit", drop);
  try {
    const facts = await fill((row) => written(() => writer.add(row)), onBytes);
    written(() => {
      writer.finish(facts);
      renameSync(part, file);
    });
  } catch (error) {
    drop();
    throw error;
  } finally {
    process.off("exit", drop);
  }
  return openRowFile<Facts>(name, file)!;
}

function defaultCache(): string {
  return join(process.env.XDG_CACHE_HOME || join(homedir(), ".cache"), "fmmformer");
}

function fingerprint({ name, sources, options }: RowsRule<unknown>): string {
  const files = sources.map(({ path, size, modified }) => [path, size, modified]);
  const known = JSON.stringify([version, name, options, files]);
  return createHash("sha256").update(known).digest("hex").slice(0, 16);
}

async function fillMemory<Facts>(fill: (add: (row: Uint8Array) => void) => Promise<Facts>): Promise<Rows<Facts>> {
  const rows: Uint8Array[] = [];
  const facts = await fill((row) => rows.push(new Uint8Array(row)));
  return { facts, count: rows.length, read: (row) => rows[row] };
}

/** Remove what killed runs left of this file: parts that nobody has written to for an hour. */
function removeAbandoned(cache: string, file: string): void {
  for (const name of readdirSync(cache)) {
    if (!name.startsWith(basename(file)) || !name.endsWith(".part")) continue;
    const part = join(cache, name);
    if (Date.now() - statSync(part).mtimeMs > 3_600_000) rmSync(part, { force: true });
  }
}
