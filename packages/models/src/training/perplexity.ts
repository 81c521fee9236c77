import { type Engine, jit, tensor } from "@fmmformer/autodiff";
import type { Layer } from "../layers/layer.ts";
import { type Model, prepared, score } from "../model.ts";
import type { Batch } from "../tasks/task.ts";
import { defaultEngine } from "./default-engine.ts";

export interface PerplexityOptions {
  /** How many tokens the model reads at once; 256 unless told */
  readonly window?: number;
  /** Windows in a batch; 16 unless told. It changes the time, not the result */
  readonly batchSize?: number;
  /** What runs the model; the wasm engine on one thread unless told */
  readonly engine?: Engine;
  /** Called before the first batch and behind each */
  readonly onBatch?: (soFar: PerplexitySoFar) => void;
}

/** How far a measurement is. */
export interface PerplexitySoFar {
  /** batches done */
  readonly done: number;
  /** batches in all, a shorter window at the end apart */
  readonly batches: number;
  /** nats a token of those done; NaN before the first */
  readonly loss: number;
}

export interface SlidingPerplexityOptions extends PerplexityOptions {
  /** How far a window lies from the one before, at most the window; 1 unless told */
  readonly stride?: number;
}

/** How well a model tells what comes next in a text. */
export interface Perplexity {
  /** e to the loss */
  readonly perplexity: number;
  /** nats a token */
  readonly loss: number;
  /** How many tokens were told: all but the first */
  readonly tokens: number;
}

/** A piece of a text, of which the tokens before `from` were told by other windows. */
interface Window {
  readonly start: number;
  readonly from: number;
}

/**
 * Measure a causal token labeller on a text, each token told from as many before it as fit into the window:
 *
 *     the first window tells all its tokens, every other one, `stride` further on, its last `stride`
 *
 * This is how perplexities of the paper are reported: window 256, stride 1. The last window ends with the text, so that no token is left out.
 *
 * @param tokens - ids in order
 * @returns in O(tokens / stride · window) time
 * @throws RangeError when there are fewer than two tokens, or an option is no integer ≥ 1 or the stride is larger than the window
 * @see Nguyen, Suliafu, Osher, Chen, Wang (2021), FMMformer, section 4.3, https://arxiv.org/abs/2108.02347
 */
export function slidingPerplexity<Params>(
  model: Layer<Params> | Model<Params>,
  params: Params,
  tokens: ArrayLike<number>,
  { window = 256, stride = 1, batchSize = 16, engine = defaultEngine(), onBatch }: SlidingPerplexityOptions = {},
): Perplexity {
  check("slidingPerplexity", tokens, { window, stride, batchSize });
  if (stride > window) {
    throw new RangeError(`slidingPerplexity: expected stride ≤ window (${window}), got ${stride}; none is skipped`);
  }
  const told = tokens.length - 1;
  const size = Math.min(window, told);
  const windows: Window[] = [{ start: 0, from: 0 }];
  for (let done = size; done < told; ) {
    const end = Math.min(done + stride, told);
    windows.push({ start: end - size, from: size - (end - done) });
    done = end;
  }
  return perplexityOf(measured(model, params, tokens, windows, { size, batchSize, engine, onBatch }), told);
}

/**
 * Measure a causal token labeller on a text cut into windows that do not overlap, the last one shorter: each token is told from those before
 * it in its window. Quicker than `slidingPerplexity` and higher, since the first tokens of a window have little to go by.
 *
 * @param tokens - ids in order
 * @throws RangeError when there are fewer than two tokens, or an option is no integer ≥ 1
 */
export function perplexity<Params>(
  model: Layer<Params> | Model<Params>,
  params: Params,
  tokens: ArrayLike<number>,
  { window = 256, batchSize = 16, engine = defaultEngine(), onBatch }: PerplexityOptions = {},
): Perplexity {
  check("perplexity", tokens, { window, batchSize });
  const told = tokens.length - 1;
  const whole = Math.floor(told / window);
  const windows = Array.from({ length: whole }, (_, i): Window => ({ start: i * window, from: 0 }));
  const nats = measured(model, params, tokens, windows, { size: window, batchSize, engine, onBatch });
  const rest: Window[] = told % window === 0 ? [] : [{ start: whole * window, from: 0 }];
  const size = told - whole * window;
  return perplexityOf(nats + measured(model, params, tokens, rest, { size, batchSize: 1, engine }), told);
}

function perplexityOf(nats: number, tokens: number): Perplexity {
  const loss = nats / tokens;
  return { perplexity: Math.exp(loss), loss, tokens };
}

function check(op: string, tokens: ArrayLike<number>, counts: { readonly [name: string]: number }): void {
  for (const [name, value] of Object.entries(counts)) {
    if (!Number.isInteger(value) || value < 1) {
      throw new RangeError(`${op}: expected ${name} to be an integer ≥ 1, got ${value}`);
    }
  }
  if (tokens.length < 2) throw new RangeError(`${op}: expected at least 2 tokens, got ${tokens.length}`);
}

interface Measuring {
  readonly size: number;
  readonly batchSize: number;
  readonly engine: Engine;
  readonly onBatch?: PerplexityOptions["onBatch"];
}

/** The sum of the losses of what windows tell, in nats. The last batch is filled up with windows that tell nothing. */
function measured<Params>(
  model: Layer<Params> | Model<Params>,
  params: Params,
  tokens: ArrayLike<number>,
  windows: readonly Window[],
  { size, batchSize, engine, onBatch }: Measuring,
): number {
  const b = Math.min(batchSize, windows.length);
  const loss = jit((p: Params, batch: Batch) => score(model, p, batch).loss, { engine });
  const batches = Math.ceil(windows.length / b);
  let nats = 0;
  let all = 0;
  const tell = (done: number): void => onBatch?.({ done, batches, loss: nats / all });
  if (windows.length > 0) tell(0);
  for (let at = 0; at < windows.length; at += b) {
    const [ids, labels, weights] = [new Int32Array(b * size), new Int32Array(b * size), new Float32Array(b * size)];
    let told = 0;
    for (const [row, { start, from }] of windows.slice(at, at + b).entries()) {
      for (let i = 0; i < size; i++) {
        ids[row * size + i] = tokens[start + i];
        labels[row * size + i] = tokens[start + i + 1];
        weights[row * size + i] = Number(i >= from);
      }
      told += size - from;
    }
    const shape = [b, size];
    const batch: Batch = {
      tokens: tensor(ids, { shape }),
      mask: null,
      labels: tensor(labels, { shape }),
      weights: tensor(weights, { shape }),
    };
    nats += told * loss(params, prepared(model, batch)).item();
    all += told;
    tell(at / b + 1);
  }
  return nats;
}
