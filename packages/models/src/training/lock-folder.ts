import { existsSync, mkdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { resolve } from "node:path";
import { RunError } from "./run-error.ts";
import { unwritable } from "./run-folder.ts";

/** The locks of this process: a file with its number alone may be of one before it that had the same, as in a container. */
const held = new Set<string>();

/**
 * Keep other runs out of a folder, which is made where it is missing: a file in it has the number of this process. That of a process which
 * is no more is replaced.
 *
 * @returns a function that lets others in
 * @throws RunError when another run is in the folder, or it cannot be written
 */
export function lockFolder(out: string): () => void {
  const path = resolve(out, "run.lock");
  while (!lock(out, path)) {
    const holder = existsSync(path) ? Number(readFileSync(path, "utf8")) : 0;
    if (holder === process.pid ? held.has(path) : lives(holder)) {
      throw new RunError(
        `run: expected a folder that no other process is using, got ${out}, which process ${holder} is training in; ` +
          `wait for it or give another folder, or remove ${path} where that process is something else`,
      );
    }
    rmSync(path, { force: true });
  }
  held.add(path);
  return () => {
    held.delete(path);
    rmSync(path, { force: true });
  };
}

/** False where there is a lock. */
function lock(out: string, path: string): boolean {
  try {
    mkdirSync(out, { recursive: true });
    writeFileSync(path, String(process.pid), { flag: "wx" });
    return true;
  } catch (cause) {
    const { code, syscall } = cause as NodeJS.ErrnoException;
    if (code === "EEXIST" && syscall === "open") return false;
    throw unwritable(out, cause);
  }
}

/** Whether there is a process of a number, ours or another's; of none, as in a lock that was cut short, there is not. */
function lives(pid: number): boolean {
  if (!(pid > 0)) return false;
  try {
    return process.kill(pid, 0);
  } catch (error) {
    return (error as NodeJS.ErrnoException).code === "EPERM";
  }
}
