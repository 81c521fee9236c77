import { type OnBytes, readChunks } from "./read-chunks.ts";

/** One line as bytes: text need not be valid in any encoding. */
export interface Line {
  /** from 1 */
  readonly number: number;
  /** without the line feed and a carriage return before it */
  readonly bytes: Buffer;
  /** bytes that it takes in the file, with its ending */
  readonly size: number;
}

const lineFeed = 10;
const carriageReturn = 13;

/**
 * Read the lines of a file one by one, however long they are: memory holds a line and a piece of the file.
 *
 * The last line need not end in a line feed; after one that does, there is no empty line.
 *
 * @param reader - who reads, for messages
 * @throws DataError when the file cannot be read
 */
export async function* readLines(reader: string, file: string, onBytes?: OnBytes): AsyncGenerator<Line> {
  let number = 0;
  let begun: Buffer[] = [];

  function line(end: Buffer, ending: 0 | 1): Line {
    const whole = begun.length === 0 ? end : Buffer.concat([...begun, end]);
    begun = [];
    number++;
    const bytes = whole.at(-1) === carriageReturn ? whole.subarray(0, -1) : whole;
    return { number, bytes, size: whole.length + ending };
  }

  for await (const chunk of readChunks(reader, file, onBytes)) {
    let start = 0;
    for (let end = chunk.indexOf(lineFeed); end >= 0; end = chunk.indexOf(lineFeed, start)) {
      yield line(chunk.subarray(start, end), 1);
      start = end + 1;
    }
    if (start < chunk.length) begun.push(chunk.subarray(start));
  }
  if (begun.length > 0) yield line(Buffer.alloc(0), 0);
}
