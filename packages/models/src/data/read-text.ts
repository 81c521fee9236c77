import { isUtf8 } from "node:buffer";
import { DataError } from "./data-error.ts";
import { type OnBytes, readChunks } from "./read-chunks.ts";

/**
 * Read a file of UTF-8 text piece by piece, no character being cut in two.
 *
 * @param reader - who reads, for messages
 * @throws DataError when the file cannot be read, or with the byte that is no UTF-8
 */
export async function* readText(reader: string, file: string, onBytes?: OnBytes): AsyncGenerator<string> {
  let cut: Buffer = Buffer.alloc(0);
  let at = 0;
  for await (const chunk of readChunks(reader, file, onBytes)) {
    const bytes = cut.length === 0 ? chunk : Buffer.concat([cut, chunk]);
    const whole = bytes.subarray(0, bytes.length - unfinished(bytes));
    if (whole.length > 0) yield decode(whole);
    cut = bytes.subarray(whole.length);
    at += whole.length;
  }
  if (cut.length > 0) yield decode(cut);

  function decode(bytes: Buffer): string {
    if (isUtf8(bytes)) return bytes.toString("utf8");
    throw new DataError(`${reader}: expected UTF-8 text, got other bytes`, { file, byte: at + firstInvalid(bytes) });
  }
}

/** How many bytes at the end begin a character that may go on. */
function unfinished(bytes: Buffer): number {
  for (let back = 1; back <= Math.min(3, bytes.length); back++) {
    const byte = bytes[bytes.length - back];
    if ((byte & 0xc0) === 0x80) continue;
    const size = byte >= 0xf0 ? 4 : byte >= 0xe0 ? 3 : byte >= 0xc0 ? 2 : 1;
    return size > back ? back : 0;
  }
  return 0;
}

/** Where the first byte is that is no UTF-8: the first � of the decoded text that is not in the bytes. */
function firstInvalid(bytes: Buffer): number {
  const mark = Buffer.from("�");
  let at = 0;
  for (const character of bytes.toString("utf8")) {
    if (character === "�" && !bytes.subarray(at, at + mark.length).equals(mark)) return at;
    at += Buffer.byteLength(character);
  }
  return at;
}
