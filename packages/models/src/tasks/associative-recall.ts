import { integerOptions, seedOption } from "./integer-options.ts";
import { stream } from "./stream.ts";
import { defineTask, type Example, type Split, type Task } from "./task.ts";

export interface AssociativeRecallOptions {
  /** n, tokens in an example; 32 unless told */
  readonly length?: number;
  /** how many keys there are; 7 unless told */
  readonly keys?: number;
  /** how many values there are; 8 unless told */
  readonly values?: number;
  /** K, pairs in an example; 3 unless told */
  readonly pairs?: number;
  /** how far a band-only model sees to the left, layers · (bandwidth − 1); 6 unless told */
  readonly reach?: number;
  readonly seed?: number;
}

/**
 * Remember which value came with a key:
 *
 *     x = k₁ v₁ … k_K v_K, then queries from k₁ … k_K     y_i = the value of x_i     weights: 1 where i ≥ 2K + reach
 *
 * Keys are ids 0 … keys − 1, values the ids after them, classes the values. The keys of an example differ and so do its
 * values. A band that reaches no value guesses one of all values; a model that knows which values came but not with
 * which key, one of K; a far field that binds (the delta rule), behind a near field that shows a value its key, is
 * right. The splits draw from separate streams.
 *
 * @throws TypeError when an option is unknown / RangeError when one is out of bounds
 * @see Schlag, Irie, Schmidhuber (2021), Linear transformers are secretly fast weight programmers, §6.1,
 *   https://arxiv.org/abs/2102.11174
 */
export function associativeRecall(options: AssociativeRecallOptions = {}): Task {
  const { length, keys, values, pairs, reach, seed } = integerOptions("associativeRecall", options, {
    length: { default: 32, min: 3 },
    keys: { default: 7, min: 1 },
    values: { default: 8, min: 2 },
    pairs: { default: 3, min: 1 },
    reach: { default: 6, min: 0 },
    seed: seedOption,
  });
  if (pairs > Math.min(keys, values)) {
    throw new RangeError(
      `associativeRecall: expected pairs ≤ keys (${keys}) and values (${values}), got ${pairs}; none is used twice`,
    );
  }
  if (2 * pairs + reach >= length) {
    throw new RangeError(
      `associativeRecall: expected length > 2·pairs + reach (${2 * pairs + reach}), got ${length}; nothing is scored`,
    );
  }

  function example(split: Split, index: number): Example {
    const { below, shuffle } = stream(seed, split, index);
    const someKeys = shuffle(Int32Array.from({ length: keys }, (_, key) => key));
    const someValues = shuffle(Int32Array.from({ length: values }, (_, value) => value));
    const tokens = new Int32Array(length);
    const labels = new Int32Array(length);
    for (let pair = 0; pair < pairs; pair++) {
      tokens[2 * pair] = someKeys[pair];
      tokens[2 * pair + 1] = keys + someValues[pair];
    }
    for (let i = 2 * pairs; i < length; i++) {
      const pair = below(pairs);
      tokens[i] = someKeys[pair];
      labels[i] = someValues[pair];
    }
    return { tokens, labels, weights: new Float32Array(length).fill(1, 2 * pairs + reach) };
  }

  const letter = (key: number) => (key < 26 ? String.fromCharCode(97 + key) : `k${key}`);

  function describe({ tokens, labels }: Example): string {
    const facts = Array.from({ length: pairs }, (_, p) => `${letter(tokens[2 * p])} = ${tokens[2 * p + 1] - keys}`);
    const queries = Array.from(tokens.subarray(2 * pairs), (key, i) => `${letter(key)} → ${labels[2 * pairs + i]}`);
    return `${facts.join(", ")}; ${queries.join(", ")}`;
  }

  return defineTask({
    name: "associativeRecall",
    kind: "label-tokens",
    causal: true,
    vocabulary: keys + values,
    length,
    classes: values,
    examples: { train: Infinity, validation: Infinity, test: Infinity },
    example,
    describe,
  });
}
