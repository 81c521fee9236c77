import {
  argmax,
  div,
  type Engine,
  jit,
  random,
  reshape,
  ShapeError,
  showShape,
  type Tensor,
  take,
  tensor,
} from "@fmmformer/autodiff";
import type { Layer } from "./layers/layer.ts";
import { defaultEngine } from "./training/default-engine.ts";

export interface GenerateOptions {
  /** How many tokens to add */
  readonly length: number;
  /** How many tokens the model reads at once: what it was trained on */
  readonly window: number;
  /** Divides the logits: below 1 for what is likely, above for more variety, 0 for the likeliest token each time; 1 unless told */
  readonly temperature?: number;
  /** Where tokens are drawn from: the same key gives the same text; `random.key(0)` unless told */
  readonly key?: Tensor;
  /** What runs the model; the wasm engine on one thread unless told */
  readonly engine?: Engine;
}

/**
 * Write on: draw the next token from what a causal token labeller says of the last one, and so on:
 *
 *     x_{t+1} ~ softmax(logits(x_{t−window+1} … x_t) / temperature)
 *
 * The model reads a whole window for each token, O(length · window) in all, so that it is compiled once. A text that is shorter stands at the
 * front of the window: a causal model does not see what is behind it, and places are those that the first tokens of a window have in training.
 *
 * @param prompt - ids to begin with, at least one
 * @returns the new ids, without the prompt
 * @throws RangeError when the prompt is empty or a number is out of range / ShapeError when the model does not label tokens
 */
export function generate<Params>(
  model: Layer<Params>,
  params: Params,
  prompt: ArrayLike<number>,
  { length, window, temperature = 1, key = random.key(0), engine = defaultEngine() }: GenerateOptions,
): Int32Array {
  for (const [name, value] of Object.entries({ length, window })) {
    if (!Number.isInteger(value) || value < 1) {
      throw new RangeError(`generate: expected ${name} to be an integer ≥ 1, got ${value}`);
    }
  }
  if (!(temperature >= 0 && temperature < Infinity)) {
    throw new RangeError(`generate: expected a temperature ≥ 0, got ${temperature}`);
  }
  if (prompt.length === 0) throw new RangeError("generate: expected a prompt of at least one token, got none");

  const next = jit(
    (p: Params, ids: Tensor, last: Tensor, draw: Tensor): Tensor => {
      const logits = model.apply(p, ids); // (1, window, classes)
      if (logits.shape.length !== 3 || logits.shape[1] !== window) {
        throw new ShapeError(
          `generate: expected logits (1, window=${window}, classes) of a token labeller, got ${showShape(logits.shape)}`,
        );
      }
      const row = reshape(take(logits, last, { axis: 1 }), [logits.shape[2]]);
      return temperature === 0 ? argmax(row) : random.categorical(draw, div(row, temperature));
    },
    { engine },
  );

  const text = Int32Array.from({ length: prompt.length + length }, (_, i) => (i < prompt.length ? prompt[i] : 0));
  for (let at = prompt.length; at < text.length; at++) {
    const from = Math.max(0, at - window);
    const ids = new Int32Array(window);
    ids.set(text.subarray(from, at));
    const last = tensor(at - from - 1, { dtype: "int32" });
    text[at] = next(params, tensor(ids, { shape: [1, window] }), last, random.fold(key, at)).item();
  }
  return text.slice(prompt.length);
}
