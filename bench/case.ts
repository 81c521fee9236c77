import { type Engine, type Stats, type Tensor, tensor } from "@fmmformer/autodiff";

/** What the command line chose. */
export interface Settings {
  readonly engine: Engine;
  readonly threads: number;
  /** n; each suite has its own unless told */
  readonly tokens?: number;
  /** b; each suite has its own unless told */
  readonly batch?: number;
}

/** Makes its cases one after the other, so that the tensors of one are gone when the next is made. */
export type Suite = (settings: Settings) => Iterable<Case | Skipped> | AsyncIterable<Case | Skipped>;

/** What is timed: by benny, until what a run promises is there, or, where only the first time in a process counts, by the case itself. */
export type Case = Facts & ({ readonly run: () => unknown } | { readonly times: () => readonly Time[] });

/** What cannot run here, and why. */
export interface Skipped {
  readonly label: string;
  readonly skipped: string;
}

interface Facts {
  /** What tells it from the others of its suite; "" where nothing needs to */
  readonly label: string;
  readonly shape: string;
  /** What runs it, where that is not the engine of the settings */
  readonly engine?: string;
  /** For how long it is timed, in seconds; 3 unless told */
  readonly seconds?: number;
  /** The label of a case before it that does the same on the engine of the settings */
  readonly against?: string;
  /** What the engine tells of it, after it ran */
  readonly stats?: () => Stats | null;
  /** How many tokens one run takes, where time and memory for each are asked for */
  readonly tokens?: number;
  /** A word on the result, after it ran */
  readonly note?: () => string;
}

/** One run. */
export interface Time {
  readonly ms: number;
  /** Of all threads together */
  readonly cpuMs: number;
}

/** Numbers in [−1, 1), the same every time; `random` is too slow to draw millions. */
export function drawn(shape: readonly number[]): Tensor {
  const values = new Float32Array(shape.reduce((size, n) => size * n, 1));
  let state = shape.length;
  for (let i = 0; i < values.length; i++) {
    state = (Math.imul(state, 1664525) + 1013904223) | 0; // Numerical Recipes
    values[i] = state / 2 ** 31;
  }
  return tensor(values, { shape });
}
