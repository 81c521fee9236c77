import { closeSync, fsyncSync, mkdirSync, openSync, renameSync, rmSync, writeSync } from "node:fs";
import { dirname } from "node:path";

/**
 * Write a file so that whoever looks finds the old one or the new one, whole, even if the machine stops in between: into a file beside it,
 * to the disk, and then under its name. Folders that are missing are made.
 *
 * @param parts - text, or the bytes, one part after the other
 * @throws Error of the file system; what was there before is then as it was
 */
export function writeWhole(path: string, parts: string | readonly Uint8Array[]): void {
  mkdirSync(dirname(path), { recursive: true });
  const beside = `${path}.${process.pid}.part`;
  try {
    const file = openSync(beside, "w");
    try {
      for (const part of typeof parts === "string" ? [new TextEncoder().encode(parts)] : parts) writeAll(file, part);
      fsyncSync(file);
    } finally {
      closeSync(file);
    }
    renameSync(beside, path);
  } catch (error) {
    rmSync(beside, { force: true });
    throw error;
  }
  keepName(dirname(path));
}

function writeAll(file: number, bytes: Uint8Array): void {
  for (let at = 0; at < bytes.length; ) at += writeSync(file, bytes, at);
}

/** A new name is on the disk once its folder is; where folders cannot be opened, the system sees to it. */
function keepName(folder: string): void {
  if (process.platform === "win32") return;
  const opened = openSync(folder, "r");
  try {
    fsyncSync(opened);
  } finally {
    closeSync(opened);
  }
}
