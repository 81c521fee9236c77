import { integerOptions, seedOption } from "./integer-options.ts";
import { stream } from "./stream.ts";
import { defineTask, type Example, type Split, type Task } from "./task.ts";

export interface CopyOptions {
  /** n, tokens in an example, at least 8; 128 unless told */
  readonly length?: number;
  /** how many symbols words are made of; 10 unless told */
  readonly symbols?: number;
  readonly seed?: number;
}

/**
 * Say a word twice: after the separator 0 the word of the first half is to be repeated:
 *
 *     x = w₁ … w_l 0 w₁ … w_l 0 … 0     y_t = x_{t+1}     weights: 1 on t ∈ [l − 1, 2l − 1], else 0
 *
 * The word's length l is uniform on ⌊n/4⌋ … ⌊(n−1)/2⌋ − 1 and its symbols on 1 … symbols. Scored are the separator and
 * the whole copy; zeros after it are tokens like any other, not padding. The splits draw from separate streams: at the
 * default length no word occurs twice.
 *
 * @throws TypeError when an option is unknown / RangeError when one is out of bounds
 * @see Katharopoulos et al. (2020), Transformers are RNNs, §4.1, https://arxiv.org/abs/2006.16236
 */
export function copy(options: CopyOptions = {}): Task {
  const { length, symbols, seed } = integerOptions("copy", options, {
    length: { default: 128, min: 8, because: "a word of 2 symbols, the separator and the copy must fit" },
    symbols: { default: 10, min: 2 },
    seed: seedOption,
  });
  const shortest = Math.floor(length / 4);
  const lengths = Math.floor((length - 1) / 2) - shortest;

  function example(split: Split, index: number): Example {
    const { below } = stream(seed, split, index);
    const l = shortest + below(lengths);
    const tokens = new Int32Array(length);
    for (let t = 0; t < l; t++) tokens[t] = tokens[t + l + 1] = 1 + below(symbols);
    const labels = new Int32Array(length);
    labels.set(tokens.subarray(1));
    const weights = new Float32Array(length).fill(1, l - 1, 2 * l);
    return { tokens, labels, weights };
  }

  return defineTask({
    name: "copy",
    kind: "label-tokens",
    causal: true,
    vocabulary: symbols + 1,
    length,
    classes: symbols + 1,
    examples: { train: Infinity, validation: Infinity, test: Infinity },
    example,
    describe: ({ tokens }) => Array.from(tokens, (token) => (token === 0 ? "·" : token)).join(" "),
  });
}
