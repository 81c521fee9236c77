import { DataError } from "../data/data-error.ts";
import type { Rows } from "../data/row-file.ts";
import { epochOrder } from "./epoch-order.ts";
import { placesBetween } from "./row-splits.ts";
import { defineTask, type Example, type Split, type Task } from "./task.ts";

/** A task of running text: tell the next token. */
export interface LanguageTask extends Task {
  /** what each token id stands for */
  readonly symbols: readonly string[];
  /** how many tokens each split has */
  readonly size: Readonly<Record<Split, number>>;
  /**
   * The tokens of a split in the order of the text, as for a perplexity.
   * @param from - 0 unless told
   * @param to - the end unless told
   */
  tokens(split: Split, from?: number, to?: number): Int32Array;
  /** Write token ids as text. */
  decode(tokens: ArrayLike<number>): string;
  /**
   * Read text as token ids.
   * @throws RangeError when something in it has no id
   */
  encode(text: string): Int32Array;
}

export function isLanguageTask(task: Task): task is LanguageTask {
  return "encode" in task && "decode" in task && "tokens" in task;
}

/** What is known of the rows of a text, each a block of tokens. */
export interface LanguageFacts {
  readonly symbols: readonly string[];
  readonly size: Readonly<Record<Split, number>>;
}

const blockSize = 4096;
const splitNames = ["train", "validation", "test"] as const;

/** Bytes that each id takes. */
function widthOf(symbols: number): 1 | 2 | 4 {
  return symbols <= 2 ** 8 ? 1 : symbols <= 2 ** 16 ? 2 : 4;
}

const arrays = { 1: Uint8Array, 2: Uint16Array, 4: Uint32Array } as const;

/** Takes the tokens of a text in order. */
export interface TokenWriter {
  /** @param split - not before that of the last token */
  token(split: Split, id: number): void;
  /** Write what is left. */
  flush(): void;
  /** how many tokens of each split there were */
  readonly size: Readonly<Record<Split, number>>;
}

/** Put token ids into rows, split after split; every split begins with a row. */
export function writeTokens(symbols: number, add: (row: Uint8Array) => void): TokenWriter {
  const Kind = arrays[widthOf(symbols)];
  const size = { train: 0, validation: 0, test: 0 };
  const block = new Kind(blockSize);
  let filled = 0;
  let current: Split = "train";

  function flush(): void {
    if (filled > 0) add(new Uint8Array(block.buffer, 0, filled * Kind.BYTES_PER_ELEMENT));
    filled = 0;
  }

  function token(split: Split, id: number): void {
    if (split !== current) flush();
    current = split;
    block[filled++] = id;
    size[split]++;
    if (filled === blockSize) flush();
  }

  return { token, flush, size };
}

/**
 * Make a task of a text in rows: an example is n tokens, and its labels are those that come next.
 *
 *     x_t = text[i·n + t]     y_t = text[i·n + t + 1]
 *
 * @throws DataError when a split has not the n + 1 tokens of one example
 */
export function languageTask(rules: {
  readonly name: string;
  readonly length: number;
  readonly seed: number;
  readonly rows: Rows<LanguageFacts>;
  /** what the text was read from, for the message */
  readonly source: string;
  decode(tokens: ArrayLike<number>): string;
  encode(text: string): Int32Array;
}): LanguageTask {
  const { name, length, seed, rows, source, decode, encode } = rules;
  const { symbols, size } = rows.facts;
  const Kind = arrays[widthOf(symbols.length)];
  const firstRow = { train: 0, validation: 0, test: 0 };
  let row = 0;
  for (const split of splitNames) {
    if (size[split] <= length) {
      const expected = `more than ${length} tokens for ${split}`;
      const remedy = "take a longer text or shorter examples";
      throw new DataError(`${name}: expected ${expected}, got ${size[split]}; ${remedy}`, { file: source });
    }
    firstRow[split] = row;
    row += Math.ceil(size[split] / blockSize);
  }

  function tokens(split: Split, from = 0, to = size[split]): Int32Array {
    if (!(Number.isInteger(from) && Number.isInteger(to) && from >= 0 && from <= to && to <= size[split])) {
      throw new RangeError(`${name}: expected places in 0 … ${size[split]}, got ${from} … ${to}`);
    }
    const read = new Int32Array(to - from);
    for (let at = from; at < to; ) {
      const bytes = new Uint8Array(rows.read(firstRow[split] + Math.floor(at / blockSize)));
      const block = new Kind(bytes.buffer).subarray(at % blockSize, (at % blockSize) + to - at);
      read.set(block, at - from);
      at += block.length;
    }
    return read;
  }

  const count = (split: Split) => Math.floor((size[split] - 1) / length);
  const inOrder = epochOrder(seed, placesBetween(0, count("train")));

  function example(split: Split, index: number): Example {
    const place = (split === "train" ? inOrder(index) : index) * length;
    const read = tokens(split, place, place + length + 1);
    return { tokens: read.slice(0, length), labels: read.slice(1), weights: new Float32Array(length).fill(1) };
  }

  return {
    ...defineTask({
      name,
      kind: "label-tokens",
      causal: true,
      vocabulary: symbols.length,
      length,
      classes: symbols.length,
      examples: { train: count("train"), validation: count("validation"), test: count("test") },
      example,
      describe: (shown) => decode(shown.tokens),
    }),
    symbols,
    size,
    tokens,
    decode,
    encode,
  };
}
