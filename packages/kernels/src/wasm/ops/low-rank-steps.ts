import { type Atom, sizeOf, type Var } from "@fmmformer/autodiff/extend";
import type { Call } from "../../composed-call.ts";
import type { LowRankRule } from "../../low-rank-field.ts";
import type { Builder } from "../builder.ts";
import { float, type Place, type Word } from "../plan.ts";
import { dense, padded, strided, stridedResult } from "./operands.ts";

// What the far field has in common that looks both ways and that looks back only.

export interface LowRankSizes {
  /** b, h, r, n, f, m and the tokens of a segment, as all kernels of the low-rank field begin */
  readonly words: readonly number[];
  readonly n: number;
  readonly f: number;
  readonly m: number;
  /** f and m in whole vectors */
  readonly padded: readonly [F: number, M: number];
  readonly states: number;
  /** Tokens whose states are summed on their own: a unit of work */
  readonly segment: number;
  /** How many of these there are */
  readonly parts: number;
  /** Numbers of a state */
  readonly size: number;
}

export function lowRankSizes(q: Atom, v: Atom, { causal }: LowRankRule): LowRankSizes {
  const [h, r, n, f] = q.shape.slice(-4);
  const m = v.shape[v.shape.length - 1];
  const b = sizeOf(q.shape.slice(0, -4));
  // States before a single segment need no steps of their own: heads alone are work enough for threads.
  const segment = causal && b * h >= 8 ? 512 : 256;
  return {
    words: [b, h, r, n, f, m, segment],
    ...{ n, f, m },
    padded: [padded(f), padded(m)],
    states: b * h * r,
    segment,
    parts: Math.ceil(n / segment),
    size: f * (m + 1),
  };
}

/** Of so many products with states. */
export function lowRankFlop({ states, n, size }: LowRankSizes, products: number): number {
  return 2 * products * states * n * size;
}

/** Numbers that segments leave, each a state. */
export function partialStates(b: Builder, { states, parts, size }: LowRankSizes): Place {
  return b.space(states * parts * size * 4);
}

/** Sum what the tokens of each segment write. */
export function writeStates(b: Builder, sizes: LowRankSizes, k: readonly Word[], v: readonly Word[]): Place {
  const { words, f } = sizes;
  const [F, M] = sizes.padded;
  const partials = partialStates(b, sizes);
  b.emit(
    {
      kernel: "lowRankState",
      words: [...words, ...k, ...v, partials],
      label: "farField (state)",
      scratch: 4 * (f * M + F + 32 + 32 * M),
      flop: lowRankFlop(sizes, 1),
    },
    [],
  );
  return partials;
}

/** What a pullback reads: inputs of the op, what it gave, and cotangents. */
interface PulledInputs {
  readonly q: Atom;
  readonly k: Atom;
  readonly v: Atom;
  readonly state: Atom | null;
  readonly terms: Atom;
  readonly last: Atom;
  readonly weights: Atom;
  readonly g: Atom;
  /** The cotangent of the last state */
  readonly r: Atom;
}

export function pulledInputs({ ins }: Call): PulledInputs {
  const withState = ins.length === 9;
  const [q, k, v] = ins;
  const [terms, last, weights, g, r] = ins.slice(withState ? 4 : 3);
  return { q, k, v, state: withState ? ins[3] : null, terms, last, weights, g, r };
}

/** The cotangent of terms, and how they were divided. */
export function pulledWords(
  b: Builder,
  { g, terms, weights }: Pick<PulledInputs, "g" | "terms" | "weights">,
  { divide, eps }: LowRankRule,
): readonly Word[] {
  return [...strided(b, g, 4), ...strided(b, terms, 4), dense(b, weights), Number(divide), float(eps)];
}

/** The cotangent of queries that read one state, and in parts that of the state: each where it is wanted. */
export function pullQueries(
  b: Builder,
  sizes: LowRankSizes,
  {
    q,
    state,
    pulled,
    dq,
    partials,
  }: {
    readonly q: Atom;
    readonly state: Word;
    readonly pulled: readonly Word[];
    readonly dq: Var | null;
    readonly partials: Word;
  },
): void {
  const { words, f, m } = sizes;
  const [F, M] = sizes.padded;
  b.emit(
    {
      kernel: "lowRankPullQueries",
      words: [...words, ...strided(b, q, 4), state, ...pulled, ...stridedResult(b, dq, 4, q), partials],
      label: "farField.pullback (queries)",
      scratch: 4 * (f * M + F + (m + 1) * F + F + 128 + 64 * M + 64 * F),
      flop: lowRankFlop(sizes, dq ? 2 : 1),
    },
    dq ? [b.view(dq)] : [],
  );
}

/** A state row-major; 0 for zeros. */
export function stateOf(b: Builder, state: Atom | null): Word {
  return state && b.view(state).source !== 0 ? dense(b, state) : 0;
}
