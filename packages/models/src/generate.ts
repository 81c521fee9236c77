import {
  add,
  argmax,
  div,
  type Engine,
  flatten,
  jit,
  random,
  reshape,
  ShapeError,
  scan,
  showShape,
  type Tensor,
  take,
  tensor,
  where,
} from "@fmmformer/autodiff";
import type { Layer } from "./layers/layer.ts";
import { recurrence } from "./layers/recurrence.ts";
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
 *     x_{t+1} ~ softmax(logits(x_s … x_t) / temperature)
 *
 * A window x_s … x_{s + window − 1} starts with the text; when it is full, its last half begins the next one. The model reads tokens one by one, each
 * in time that does not grow with the window (softmax attention apart); one without a recurrence reads a whole window for each.
 *
 * @param prompt - ids to begin with, at least one; of more than a window the last ones are read
 * @returns the new ids, without the prompt
 * @throws RangeError when the prompt is empty, a number is out of range, or learned positions are fewer than a window has / ShapeError when the
 *   model does not label tokens
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

  const text = Int32Array.from({ length: prompt.length + length }, (_, i) => (i < prompt.length ? prompt[i] : 0));
  const write = (model.recurrence ? tokenByToken : wholeWindows)(model, params, {
    window,
    engine,
    draw(logits, at) {
      const row = reshape(logits, logits.shape.slice(-1));
      return temperature === 0 ? argmax(row) : random.categorical(random.fold(key, at), div(row, temperature));
    },
  });
  let known = prompt.length;
  for (let from = Math.max(0, known - window); known < text.length; from += Math.ceil(window / 2)) {
    const end = Math.min(text.length, from + window + 1);
    write(text, { from, known, end });
    known = end;
  }
  return text.slice(prompt.length);
}

/** Which tokens are in a window: those from `from` on. */
interface Window {
  readonly from: number;
  /** The place of the first that is not known */
  readonly known: number;
  /** The place behind the last to draw, that behind the window or one before */
  readonly end: number;
}

/** Draws the tokens of a window that are not known. */
type Writer = (text: Int32Array, window: Window) => void;

interface WriterOptions extends Required<Pick<GenerateOptions, "window" | "engine">> {
  /** Draws the token at a place from logits (…, classes) of the one before it */
  readonly draw: (logits: Tensor, at: Tensor) => Tensor;
}

/** What goes from one token to the next. */
interface Memory {
  readonly state: unknown;
  /** () int32, the place of the next token */
  readonly at: Tensor;
  /** () int32, what was drawn for it */
  readonly drawn: Tensor;
}

/** Read tokens one after the other: a few in each call, so that parameters are not handed over for each. */
function tokenByToken<Params>(model: Layer<Params>, params: Params, { window, engine, draw }: WriterOptions): Writer {
  const walk = recurrence(model, { length: window });
  const dtype = flatten(params).leaves.some((x) => (x as Tensor).dtype === "float64") ? "float64" : "float32";
  // A window is so many times as long: behind it there may be no places to read.
  const few = [8, 4, 2, 1].find((count) => window % count === 0) as number;
  const read = jit(
    (p: Params, begun: Memory, tokens: { readonly id: Tensor; readonly known: Tensor }): [Memory, Tensor] =>
      scan(
        ({ state, at, drawn }: Memory, { id, known }: typeof tokens): [Memory, Tensor] => {
          const [logits, next] = walk.step(p, reshape(where(known, id, drawn), [1, 1]), state); // (1, 1, classes)
          const behind = add(at, 1);
          const token = draw(logits, behind);
          return [{ state: next, at: behind, drawn: token }, token];
        },
        begun,
        tokens,
      ),
    { engine },
  );
  return (text, { from, known, end }) => {
    let memory: Memory = { state: walk.start({ batch: [1], dtype }), at: integer(from), drawn: integer(0) };
    for (let at = from; at < end - 1; at += few) {
      const places = Array.from({ length: few }, (_, i) => at + i);
      const id = tensor(Int32Array.from(places, (i) => text[i] ?? 0)); // (few), as what is known
      const [next, drawn] = read(params, memory, { id, known: tensor(places.map((i) => i < known || i >= end - 1)) });
      memory = next;
      for (const [i, place] of places.entries())
        if (place + 1 >= known && place + 1 < end) text[place + 1] = drawn.data[i];
    }
  };
}

/** Read a whole window for each token, at whose front it stands: a causal model does not see what is behind it. */
function wholeWindows<Params>(model: Layer<Params>, params: Params, { window, engine, draw }: WriterOptions): Writer {
  const next = jit(
    (p: Params, ids: Tensor, last: Tensor, at: Tensor): Tensor => {
      const logits = model.apply(p, ids); // (1, window, classes)
      if (logits.shape.length !== 3 || logits.shape[1] !== window) {
        throw new ShapeError(
          `generate: expected logits (1, window=${window}, classes) of a token labeller, got ${showShape(logits.shape)}`,
        );
      }
      return draw(take(logits, last, { axis: 1 }), at);
    },
    { engine },
  );
  return (text, { from, known, end }) => {
    for (let at = known; at < end; at++) {
      const ids = new Int32Array(window);
      ids.set(text.subarray(from, at));
      text[at] = next(params, tensor(ids, { shape: [1, window] }), integer(at - from - 1), integer(at)).item();
    }
  };
}

function integer(x: number): Tensor {
  return tensor(x, { dtype: "int32" });
}
