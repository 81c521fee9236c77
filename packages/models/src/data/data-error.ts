import { FmmformerError } from "@fmmformer/autodiff";

/** Where in a file something is wrong. */
export interface DataPlace {
  readonly file: string;
  /** from 1 */
  readonly line?: number | undefined;
  /** from 0; of a compressed file, of what it holds */
  readonly byte?: number | undefined;
}

/** A data file that is missing, cut short or not what it should be. The message ends with the file and the place. */
export class DataError extends FmmformerError implements DataPlace {
  readonly file: string;
  readonly line: number | undefined;
  readonly byte: number | undefined;

  constructor(message: string, { file, line, byte, ...options }: DataPlace & ErrorOptions) {
    const place = line !== undefined ? `, line ${line}` : byte !== undefined ? `, byte ${byte}` : "";
    super(`${message} (${file}${place})`, options);
    this.file = file;
    this.line = line;
    this.byte = byte;
  }
}
