import { stream } from "../tasks/stream.ts";
import { defineTask, type Example, type Split, sequencesOf, type Task } from "../tasks/task.ts";

export interface MaskedTaskOptions {
  /** The share of tokens that are hidden, above 0 and below 1 */
  readonly share: number;
  /** Which ones; 0 unless told */
  readonly seed?: number;
}

/** What the seed of a task is shifted by, so that a task and its mask do not draw the same numbers. */
const apart = 0x6d61736b;

/**
 * A task's own inputs as a task: some tokens are hidden behind a mask, whose id is the first behind the vocabulary, and are to be named.
 *
 * Which ones is a function of the seed, the split and the place of an example, padding apart; every epoch hides others, so that a finite
 * split is one without end. Of pairs each sequence is an example.
 *
 * @throws RangeError when the share is not above 0 and below 1
 * @see Devlin, Chang, Lee, Toutanova (2018), BERT, §3.1, https://arxiv.org/abs/1810.04805; Amos, Berant, Gupta (2023), Never train from
 *   scratch, https://arxiv.org/abs/2310.02980, on Long Range Arena
 */
export function maskedTask(task: Task, { share, seed = 0 }: MaskedTaskOptions): Task {
  if (!(share > 0 && share < 1)) throw new RangeError(`maskedTask: expected a share above 0 and below 1, got ${share}`);
  const { vocabulary, length } = task;
  const sequences = sequencesOf(task);
  const hidden = vocabulary;

  function example(split: Split, index: number): Example {
    const whole = task.example(split, Math.floor(index / sequences));
    const from = (index % sequences) * length;
    const labels = whole.tokens.slice(from, from + length);
    const mask = whole.mask?.slice(from, from + length);
    const { below } = stream((seed ^ apart) >>> 0, split, index);
    const tokens = labels.slice();
    const weights = new Float32Array(length);
    for (let i = 0; i < length; i++) {
      if (below(2 ** 24) / 2 ** 24 >= share || (mask && mask[i] === 0)) continue;
      tokens[i] = hidden;
      weights[i] = 1;
    }
    return { tokens, labels, weights, ...(mask && { mask }) };
  }

  const times = (count: number): number => sequences * count;
  return defineTask({
    name: `${task.name}, masked`,
    kind: "label-tokens",
    causal: task.causal,
    vocabulary: vocabulary + 1,
    length,
    classes: vocabulary,
    examples: {
      train: times(task.examples.train),
      validation: times(task.examples.validation),
      test: times(task.examples.test),
    },
    example,
    describe({ tokens, labels }) {
      const count = tokens.reduce((sum, token) => sum + Number(token === hidden), 0);
      const shown = Array.from(tokens.subarray(0, 24), (token, i) => (token === hidden ? `[${labels[i]}]` : token));
      return `${count} of ${length} hidden: ${shown.join(" ")}${length > 24 ? " …" : ""}`;
    },
  });
}
