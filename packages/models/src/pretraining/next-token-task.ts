import { defineTask, type Example, type Split, sequencesOf, type Task } from "../tasks/task.ts";

/**
 * A task's own inputs as a task for causal models: name each token from those before it, padding apart. Of pairs each sequence is an
 * example.
 *
 *     y_i = x_{i+1}     weights: 1 where i + 1 is a token, else 0
 */
export function nextTokenTask(task: Task): Task {
  const { vocabulary, length, examples } = task;
  const sequences = sequencesOf(task);

  function example(split: Split, index: number): Example {
    const whole = task.example(split, Math.floor(index / sequences));
    const from = (index % sequences) * length;
    const tokens = whole.tokens.slice(from, from + length);
    const mask = whole.mask?.slice(from, from + length);
    const labels = new Int32Array(length);
    labels.set(tokens.subarray(1));
    const weights = Float32Array.from(tokens, (_, i) => Number(i + 1 < length && mask?.[i + 1] !== 0));
    return { tokens, labels, weights, ...(mask && { mask }) };
  }

  return defineTask({
    name: `${task.name}, next token`,
    kind: "label-tokens",
    causal: true,
    vocabulary,
    length,
    classes: vocabulary,
    examples: {
      train: sequences * examples.train,
      validation: sequences * examples.validation,
      test: sequences * examples.test,
    },
    example,
    describe: ({ tokens }) => `${Array.from(tokens.subarray(0, 24)).join(" ")}${length > 24 ? " …" : ""}`,
  });
}
