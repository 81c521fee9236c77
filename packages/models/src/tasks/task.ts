import { type Tensor, tensor } from "@fmmformer/autodiff";

/**
 * Training examples never occur in the other splits: how a task sees to that is said in its file. The validation split is for choices,
 * the test split for what is reported. The first examples of a split are a sample of it: part of one may stand for the whole.
 */
export type Split = "train" | "validation" | "test";

/** One example in plain arrays, for people, reports and tests; n is the task's length. */
export interface Example {
  /** (n) token ids in [0, vocabulary); of a pair (2n), one sequence after the other */
  readonly tokens: Int32Array;
  /** (n), or (2n), 1 at a token, 0 at padding; absent where nothing is padded */
  readonly mask?: Float32Array;
  /** (1) the class of the sequence or pair, or (n) one class per token, in [0, classes) */
  readonly labels: Int32Array;
  /** (n) how much each token counts in the loss; absent where the sequence has one label */
  readonly weights?: Float32Array;
}

/** Examples side by side, as a model takes them; b examples of n tokens. */
export interface Batch {
  /** int32 (b, n), of pairs (b, 2, n), token ids in [0, vocabulary) */
  readonly tokens: Tensor;
  /** float32 in the shape of the tokens, 1 at a token, 0 at padding: masks keys in both fields. Null where no example is padded */
  readonly mask: Tensor | null;
  /** int32 (b) of a `classify` or `classify-pairs` task, (b, n) of a `label-tokens` task, in [0, classes) */
  readonly labels: Tensor;
  /**
   * float32 (b, n) of a `label-tokens` task: 1 where the label is asked for, 0 where it means nothing.
   *
   *     loss = Σ weights · cross-entropy / Σ weights     accuracy = Σ weights · (argmax = label) / Σ weights
   *
   * Both sums run over the whole batch, so that every scored token counts the same.
   */
  readonly weights?: Tensor;
}

/** What a task asks of a model: one class per sequence, one per pair of sequences, or one per token. */
export type ModelKind = "classify" | "classify-pairs" | "label-tokens";

/** How many sequences an example has: two where it is a pair. */
export function sequencesOf({ kind }: Pick<TaskFacts, "kind">): 1 | 2 {
  return kind === "classify-pairs" ? 2 : 1;
}

/** What a task is, apart from how it makes its examples. */
export interface TaskFacts {
  readonly name: string;
  readonly kind: ModelKind;
  /** true where token i is labelled from tokens 0 … i alone, so that the model must not look ahead */
  readonly causal: boolean;
  /** number of token ids */
  readonly vocabulary: number;
  /** n, the tokens in every example, padding included */
  readonly length: number;
  /** number of classes */
  readonly classes: number;
  /** distinct examples in each split; Infinity where they are drawn on the fly */
  readonly examples: Readonly<Record<Split, number>>;
}

/** Sequences with labels. Everything is a function of the options, of which one is the seed: no state, no clock. */
export interface Task extends TaskFacts {
  /**
   * Make the examples index·size … index·size + size − 1 of a split.
   *
   * The training split has no end: where its examples are finite, the next epoch begins in the midst of a batch. The
   * last batch of another finite split is short where size does not divide it.
   *
   * @param index - which batch, from 0; none depends on those before it
   * @param size - examples per batch, at least 1
   * @throws RangeError when index or size is no such number, or the split ends before the batch begins
   */
  batch(split: Split, index: number, size: number): Batch;
  /**
   * Make one example.
   * @param index - its place in the split, from 0
   */
  example(split: Split, index: number): Example;
  /** Write an example so that a person sees the rule. */
  describe(example: Example): string;
}

/** Make a task from its facts and its examples: fills batches and guards the indices. */
export function defineTask(rules: Omit<Task, "batch">): Task {
  const { name, length, kind, examples } = rules;

  function checkSplit(split: Split): void {
    if (!(split in examples)) throw new RangeError(`${name}: expected split train, validation or test, got ${split}`);
  }

  function example(split: Split, index: number): Example {
    checkSplit(split);
    checkCount(name, "example", index, 0);
    if (split !== "train" && index >= examples[split]) {
      throw new RangeError(`${name}: expected a ${split} example below ${examples[split]}, got ${index}`);
    }
    return rules.example(split, index);
  }

  function batch(split: Split, index: number, size: number): Batch {
    checkSplit(split);
    checkCount(name, "batch index", index, 0);
    checkCount(name, "batch size", size, 1);
    const first = index * size;
    if (split !== "train" && first >= examples[split]) {
      const batches = Math.ceil(examples[split] / size);
      throw new RangeError(`${name}: expected a ${split} batch below ${batches} at size ${size}, got ${index}`);
    }
    const b = split === "train" ? size : Math.min(size, examples[split] - first);
    const read = sequencesOf(rules) * length;
    const labelled = kind === "label-tokens" ? length : 1;
    const tokens = new Int32Array(b * read);
    let mask: Float32Array | null = null;
    const labels = new Int32Array(b * labelled);
    const weights = new Float32Array(b * length);
    for (let row = 0; row < b; row++) {
      const made = example(split, first + row);
      tokens.set(made.tokens, row * read);
      if (made.mask) {
        mask ??= new Float32Array(b * read).fill(1);
        mask.set(made.mask, row * read);
      }
      labels.set(made.labels, row * labelled);
      if (made.weights) weights.set(made.weights, row * length);
    }
    const shape = kind === "classify-pairs" ? [b, 2, length] : [b, length];
    const common = { tokens: tensor(tokens, { shape }), mask: mask && tensor(mask, { shape }) };
    if (kind !== "label-tokens") return { ...common, labels: tensor(labels) };
    return { ...common, labels: tensor(labels, { shape }), weights: tensor(weights, { shape }) };
  }

  return { ...rules, example, batch };
}

function checkCount(name: string, what: string, value: number, min: number): void {
  if (!Number.isSafeInteger(value) || value < min) {
    throw new RangeError(`${name}: expected ${what} to be an integer ≥ ${min}, got ${value}`);
  }
}
