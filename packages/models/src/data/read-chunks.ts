import { createReadStream } from "node:fs";
import { createGunzip } from "node:zlib";
import { DataError } from "./data-error.ts";

/** Called with the bytes of the file that were read since the last call. */
export type OnBytes = (bytes: number) => void;

/**
 * Read a file piece by piece, unpacked where its name ends in `.gz`.
 *
 * @param reader - who reads, for messages
 * @throws DataError when the file cannot be read, or its compressed data are damaged or cut short
 */
export async function* readChunks(reader: string, file: string, onBytes?: OnBytes): AsyncGenerator<Buffer> {
  const source = createReadStream(file, { highWaterMark: 1 << 20 });
  const unpacked = file.endsWith(".gz") ? source.pipe(createGunzip({ chunkSize: 1 << 20 })) : source;
  if (unpacked !== source) source.on("error", (cause) => unpacked.destroy(cause));
  let [told, given] = [0, 0];
  try {
    for await (const chunk of unpacked as AsyncIterable<Buffer>) {
      onBytes?.(source.bytesRead - told);
      told = source.bytesRead;
      yield chunk;
      given += chunk.length;
    }
  } catch (cause) {
    const { code, message } = cause as NodeJS.ErrnoException;
    if (code === undefined) throw cause;
    const expected = code.startsWith("Z_") ? "whole gzip data" : "a file that can be read";
    throw new DataError(`${reader}: expected ${expected}, got ${message}`, { file, byte: given, cause });
  } finally {
    source.destroy();
  }
}
