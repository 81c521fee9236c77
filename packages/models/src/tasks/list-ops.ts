import { integerOptions, seedOption } from "./integer-options.ts";
import { type Stream, stream } from "./stream.ts";
import { defineTask, type Example, type Split, type Task } from "./task.ts";

export interface ListOpsOptions {
  /** how deep a leaf may lie, the root being 1; 10 unless told */
  readonly maxDepth?: number;
  /** how many arguments an operator may take, at least 2; 10 unless told */
  readonly maxArgs?: number;
  /** trees have more tokens than this; 500 unless told */
  readonly minLength?: number;
  /** trees have fewer tokens than this; 2,000 unless told */
  readonly maxLength?: number;
  /** distinct training trees; 96,000 unless told */
  readonly train?: number;
  /** distinct validation trees; 2,000 unless told */
  readonly validation?: number;
  /** distinct test trees; 2,000 unless told */
  readonly test?: number;
  readonly seed?: number;
}

/** The published size, which is the default, one for minutes of training, and one that a test or a first look can afford. */
export const listOpsSizes: Readonly<Record<"paper" | "medium" | "small", ListOpsOptions>> = {
  paper: { maxDepth: 10, maxArgs: 10, minLength: 500, maxLength: 2000, train: 96_000, validation: 2_000, test: 2_000 },
  medium: { maxDepth: 6, maxArgs: 5, minLength: 16, maxLength: 129, train: 20_000, validation: 1000, test: 1000 },
  small: { maxDepth: 4, maxArgs: 4, minLength: 8, maxLength: 33, train: 4_000, validation: 400, test: 400 },
};

/** The 15 symbols; the id of a symbol is its place here, plus 1. 0 is padding. */
const symbols = ["0", "1", "2", "3", "4", "5", "6", "7", "8", "9", "[MIN", "[MAX", "[MED", "[SM", "]"] as const;
const firstOperator = 11;
/** Where a tree goes by the remainder of its fingerprint, all from 2 on to training. */
const splits = ["test", "validation", "train"] as const;
const close = 15;

/** What each operator makes of its arguments, in the order of `symbols`. */
const operators: readonly ((digits: readonly number[]) => number)[] = [
  (digits) => Math.min(...digits),
  (digits) => Math.max(...digits),
  // Between two middle digits the published code takes int(np.median(…)), which rounds their mean down.
  (digits) => {
    const sorted = [...digits].sort((x, y) => x - y);
    return Math.floor((sorted[(sorted.length - 1) >> 1] + sorted[sorted.length >> 1]) / 2);
  },
  (digits) => digits.reduce((sum, digit) => sum + digit, 0) % 10,
];

/**
 * Evaluate nested lists, as in `[MAX 2 9 [MIN 4 7 ] 0 ]` = 9:
 *
 *     tree at depth t = digit, with chance ¾ (1 at maxDepth)
 *                     | operator, 2 … maxArgs trees at depth t + 1, closing bracket
 *
 * Digits, operators (MIN, MAX, MED, SM: the sum modulo 10) and numbers of arguments are uniform; a tree is kept when
 * minLength < its tokens < maxLength and it has not been kept before. A fingerprint of the tree's tokens says which
 * split it belongs to (1 of 8 to the test split, 1 of 8 to validation), so no tree is in two, under any seeds. The sequence is padded with 0
 * to the next power of two.
 *
 * Trees are found in order, so the first use of example i costs i trees (30 µs each at the published size); afterwards
 * each is made anew from its own stream, and memory holds a number per example.
 *
 * @throws TypeError when an option is unknown / RangeError when one is out of bounds, or when the options allow fewer
 *   distinct trees than asked for
 * @see Nangia, Bowman (2018), ListOps, https://arxiv.org/abs/1804.06028, with the sizes of Tay et al. (2020), Long
 *   Range Arena, https://arxiv.org/abs/2011.04006
 */
export function listOps(options: ListOpsOptions = {}): Task {
  const { maxDepth, maxArgs, minLength, maxLength, train, validation, test, seed } = integerOptions(
    "listOps",
    options,
    {
      maxDepth: { default: 10, min: 2, because: "an operator stands above its digits" },
      maxArgs: { default: 10, min: 2 },
      minLength: { default: 500, min: 0 },
      maxLength: { default: 2000, min: 5, because: "the shortest list has 4 tokens" },
      train: { default: 96_000, min: 1 },
      validation: { default: 2_000, min: 1 },
      test: { default: 2_000, min: 1 },
      seed: seedOption,
    },
  );
  if (minLength + 1 >= maxLength) {
    throw new RangeError(`listOps: expected maxLength > minLength + 1 (${minLength + 1}), got ${maxLength}`);
  }
  const length = 2 ** Math.ceil(Math.log2(maxLength - 1));
  const scratch = new Uint8Array(maxLength);

  /** Draw a tree into scratch from place `at`. Returns the place after it, or maxLength as soon as it is too long. */
  function grow(random: Stream, depth: number, at: number): number {
    if (at >= maxLength) return maxLength;
    if (depth === maxDepth || random.below(4) > 0) {
      scratch[at] = 1 + random.below(10);
      return at + 1;
    }
    scratch[at++] = firstOperator + random.below(operators.length);
    for (let args = 2 + random.below(maxArgs - 1); args > 0 && at < maxLength; args--) at = grow(random, depth + 1, at);
    scratch[at] = close;
    return at + 1;
  }
  const draw = (attempt: number) => scratch.subarray(0, grow(stream(seed, "all", attempt), 1, 0));

  const examples = { train, validation, test };
  const seen = new Set<number>();
  const found: Record<Split, number[]> = { train: [], validation: [], test: [] };
  let attempts = 0;

  /** The attempt that made the tree at a place of a split. */
  function find(split: Split, place: number): number {
    for (let last = attempts; found[split].length <= place; attempts++) {
      if (attempts - last > 1e6) {
        const asked = `${examples[split]} distinct ${split} trees of ${minLength} < tokens < ${maxLength}`;
        throw new RangeError(
          `listOps: expected ${asked}, got ${found[split].length}; widen the bounds or ask for fewer`,
        );
      }
      const tree = draw(attempts);
      if (tree.length <= minLength || tree.length >= maxLength) continue;
      const print = fingerprint(tree);
      if (seen.has(print)) continue;
      seen.add(print);
      found[splits[Math.min(print % 8, 2)]].push(attempts);
      last = attempts;
    }
    return found[split][place];
  }

  function example(split: Split, index: number): Example {
    const tree = draw(find(split, index % examples[split]));
    const tokens = new Int32Array(length);
    tokens.set(tree);
    const mask = new Float32Array(length).fill(1, 0, tree.length);
    return { tokens, mask, labels: Int32Array.of(evaluateListOps(tree)) };
  }

  return defineTask({ ...listOpsFacts, length, examples, example });
}

/** What lists are as a task, generated or read from files. */
export const listOpsFacts: Pick<Task, "name" | "kind" | "causal" | "vocabulary" | "classes" | "describe"> = {
  name: "listOps",
  kind: "classify",
  causal: false,
  vocabulary: symbols.length + 1,
  classes: 10,
  describe: ({ tokens, labels }) => `${decodeListOps(tokens)} = ${labels[0]}`,
};

/** 53 bits of a tree. That any two of 100,000 share them has a chance of 10⁻⁶, and then one of the two is not used. */
function fingerprint(tokens: Uint8Array): number {
  let high = 0;
  let low = 0;
  for (const token of tokens) {
    high = Math.imul(high ^ token, 0x85ebca6b);
    high ^= high >>> 13;
    low = Math.imul(low + token, 0xc2b2ae35);
    low ^= low >>> 16;
  }
  return (high >>> 11) * 2 ** 32 + (low >>> 0);
}

/**
 * Read a list as token ids, in the text form of `decodeListOps` or with the parentheses of the published files.
 *
 * @throws RangeError when a word is none of the 15 symbols
 */
export function encodeListOps(text: string): Int32Array {
  const words = text.split(/[\s()]+/).filter((word) => word !== "");
  return Int32Array.from(words, (word, place) => {
    const id = symbols.indexOf(word as (typeof symbols)[number]) + 1;
    if (id === 0) throw new RangeError(`listOps: expected one of ${symbols.join(" ")}, got ${word} at word ${place}`);
    return id;
  });
}

/** Write token ids as text, without padding: `[MAX 2 9 [MIN 4 7 ] 0 ]`. */
export function decodeListOps(tokens: ArrayLike<number>): string {
  return Array.from(tokens)
    .filter((token) => token !== 0)
    .map((token) => symbols[token - 1])
    .join(" ");
}

/**
 * Evaluate the tokens of one list, padding ignored.
 *
 * @returns a digit, in time linear in the tokens
 * @throws RangeError when brackets do not match or an operator has no arguments
 */
export function evaluateListOps(tokens: ArrayLike<number>): number {
  const open: { operator: number; digits: number[] }[] = [{ operator: -1, digits: [] }];
  for (let at = 0; at < tokens.length; at++) {
    const token = tokens[at];
    if (token === 0) continue;
    if (token < firstOperator) open[open.length - 1].digits.push(token - 1);
    else if (token < close) open.push({ operator: token - firstOperator, digits: [] });
    else {
      const { operator, digits } = open.pop()!;
      if (open.length === 0 || digits.length === 0) {
        throw new RangeError(`listOps: expected a bracket that closes an operator with arguments, got token ${at}`);
      }
      open[open.length - 1].digits.push(operators[operator](digits));
    }
  }
  const [{ digits }] = open;
  if (open.length > 1 || digits.length !== 1) {
    throw new RangeError(`listOps: expected one list, got ${digits.length} with ${open.length - 1} brackets left open`);
  }
  return digits[0];
}
