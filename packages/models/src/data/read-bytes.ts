import { DataError } from "./data-error.ts";
import { type OnBytes, readChunks } from "./read-chunks.ts";

/** Takes a file apart from the beginning on. */
export interface ByteReader {
  /** How many bytes were taken. */
  readonly at: number;
  /**
   * Take the next bytes.
   * @param what - what they are, for the message
   * @throws DataError when the file ends before
   */
  take(count: number, what: string): Promise<Buffer>;
  /** Check that nothing follows. */
  end(what: string): Promise<void>;
}

/** Read a file in pieces of known sizes, unpacked where its name ends in `.gz`. */
export function readBytes(reader: string, file: string, onBytes?: OnBytes): ByteReader {
  const chunks = readChunks(reader, file, onBytes);
  let rest: Buffer = Buffer.alloc(0);
  let at = 0;

  /** Read on until so many bytes wait, or the file ends. */
  async function wait(count: number): Promise<void> {
    const parts = [rest];
    for (let waiting = rest.length; waiting < count; ) {
      const { value, done } = await chunks.next();
      if (done) break;
      parts.push(value);
      waiting += value.length;
    }
    if (parts.length > 1) rest = Buffer.concat(parts);
  }

  async function take(count: number, what: string): Promise<Buffer> {
    if (rest.length < count) await wait(count);
    if (rest.length < count) {
      const got = `${rest.length}; the file is cut short`;
      throw new DataError(`${reader}: expected ${count} bytes of ${what}, got ${got}`, { file, byte: at });
    }
    const taken = rest.subarray(0, count);
    rest = rest.subarray(count);
    at += count;
    return taken;
  }

  async function end(what: string): Promise<void> {
    await wait(1);
    await chunks.return(undefined);
    if (rest.length > 0) {
      throw new DataError(`${reader}: expected the end of the file after ${what}, got more`, { file, byte: at });
    }
  }

  return {
    get at() {
      return at;
    },
    take,
    end,
  };
}
