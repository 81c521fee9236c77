import { closeSync, fstatSync, fsyncSync, openSync, readSync, rmSync, writeSync } from "node:fs";
import { checksum } from "./checksum.ts";
import { DataError } from "./data-error.ts";

/** Many short rows of bytes, read one at a time, and what there is to know about them, which is as JSON has it. */
export interface Rows<Facts> {
  readonly facts: Facts;
  readonly count: number;
  /**
   * Read one row.
   * @param row - from 0
   * @throws DataError when it is not as it was written
   */
  read(row: number): Uint8Array;
}

/** Takes rows in order; nothing is there before `finish`. */
export interface RowWriter<Facts> {
  add(row: Uint8Array): void;
  finish(facts: Facts): void;
  /** Let go of the file, which is no file of rows unless it was finished. */
  close(): void;
}

const magic = Buffer.from("fmmrows1", "latin1");
const headerSize = 32;

/**
 * Write a file of rows:
 *
 *     header   "fmmrows1", place of the index, number of rows (64 bits each), checksums of index and of these 28 bytes
 *     rows     one after the other
 *     index    ends of the rows (64 bits each), their checksums (32 bits each), facts in JSON; little-endian throughout
 *
 * The header is written last, when all else is on the disk: a file that was not finished has none.
 */
export function writeRowFile<Facts>(file: string): RowWriter<Facts> {
  const descriptor = openSync(file, "wx");
  const ends: number[] = [];
  const sums: number[] = [];
  let waiting: Uint8Array[] = [];
  let waits = 0;
  let size = headerSize;
  let open = true;

  function close(): void {
    if (open) closeSync(descriptor);
    open = false;
  }

  function flush(): void {
    writeFully(descriptor, Buffer.concat(waiting), size - waits);
    waiting = [];
    waits = 0;
  }

  function append(bytes: Uint8Array): void {
    waiting.push(new Uint8Array(bytes));
    waits += bytes.length;
    size += bytes.length;
    if (waits >= 1 << 20) flush();
  }

  function add(row: Uint8Array): void {
    append(row);
    ends.push(size);
    sums.push(checksum(row));
  }

  function finish(facts: Facts): void {
    const place = size;
    const index = Buffer.concat([
      Buffer.from(Float64Array.from(ends).buffer),
      Buffer.from(Uint32Array.from(sums).buffer),
      Buffer.from(JSON.stringify(facts)),
    ]);
    append(index);
    flush();
    fsyncSync(descriptor);
    const header = Buffer.alloc(headerSize);
    header.set(magic);
    header.writeDoubleLE(place, 8);
    header.writeDoubleLE(ends.length, 16);
    header.writeUInt32LE(checksum(index), 24);
    header.writeUInt32LE(checksum(header.subarray(0, 28)), 28);
    writeFully(descriptor, header, 0);
    fsyncSync(descriptor);
    close();
  }

  return { add, finish, close };
}

function writeFully(descriptor: number, bytes: Uint8Array, position: number): void {
  for (let done = 0; done < bytes.length; ) {
    done += writeSync(descriptor, bytes, done, bytes.length - done, position + done);
  }
}

/**
 * Open a file of rows. It stays open as long as the process runs.
 *
 * @param reader - who reads, for messages
 * @returns undefined when there is no such file, or it is damaged or was not finished. A damaged row shows when it is
 *   read: the file is then removed, so that the next reader finds none
 */
export function openRowFile<Facts>(reader: string, file: string): Rows<Facts> | undefined {
  let descriptor: number;
  try {
    descriptor = openSync(file, "r");
  } catch (error) {
    if ((error as NodeJS.ErrnoException).code === "ENOENT") return undefined;
    throw error;
  }
  const index = readIndex<Facts>(descriptor);
  if (index === undefined) {
    closeSync(descriptor);
    return undefined;
  }
  const { ends, sums, facts } = index;

  function read(row: number): Uint8Array {
    const start = row === 0 ? headerSize : ends[row - 1];
    const bytes = readAt(descriptor, start, ends[row] - start);
    if (bytes === undefined || checksum(bytes) !== sums[row]) {
      rmSync(file, { force: true });
      const remedy = "the cache is damaged and was removed: open the task again";
      throw new DataError(`${reader}: expected row ${row} as it was written, got other bytes; ${remedy}`, {
        file,
        byte: start,
      });
    }
    return bytes;
  }

  return { facts, count: ends.length, read };
}

interface Index<Facts> {
  readonly ends: Float64Array;
  readonly sums: Uint32Array;
  readonly facts: Facts;
}

function readIndex<Facts>(descriptor: number): Index<Facts> | undefined {
  const header = readAt(descriptor, 0, headerSize);
  if (header === undefined || !header.subarray(0, magic.length).equals(magic)) return undefined;
  if (checksum(header.subarray(0, 28)) !== header.readUInt32LE(28)) return undefined;
  const place = header.readDoubleLE(8);
  const count = header.readDoubleLE(16);
  const bytes = readAt(descriptor, place, fstatSync(descriptor).size - place);
  if (bytes === undefined || checksum(bytes) !== header.readUInt32LE(24)) return undefined;
  const copy = (from: number, to: number) => new Uint8Array(bytes.subarray(from, to)).buffer;
  return {
    ends: new Float64Array(copy(0, 8 * count)),
    sums: new Uint32Array(copy(8 * count, 12 * count)),
    facts: JSON.parse(bytes.toString("utf8", 12 * count)) as Facts,
  };
}

/** Undefined where the file ends before. */
function readAt(descriptor: number, position: number, size: number): Buffer | undefined {
  if (size < 0) return undefined;
  const bytes = Buffer.alloc(size);
  for (let done = 0; done < size; ) {
    const read = readSync(descriptor, bytes, done, size - done, position + done);
    if (read === 0) return undefined;
    done += read;
  }
  return bytes;
}
