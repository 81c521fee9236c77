import { integerOptions, seedOption } from "./integer-options.ts";
import { stream } from "./stream.ts";
import { defineTask, type Example, type Split, type Task } from "./task.ts";

export interface SwitchBoardOptions {
  /** how many votes come first; 16 unless told */
  readonly votes?: number;
  /** how many of them agree, more than half; 11 unless told */
  readonly majority?: number;
  /** how many symbols follow; 32 unless told */
  readonly symbols?: number;
  /** V, how many kinds of symbol there are; 8 unless told */
  readonly alphabet?: number;
  /** how far a band-only model sees to the left, layers · (bandwidth − 1); 4 unless told */
  readonly reach?: number;
  readonly seed?: number;
}

export interface SwitchBoardTask extends Task {
  /** What accuracy no model of one field alone exceeds in expectation. */
  readonly bounds: { readonly band: number; readonly linear: number };
}

/**
 * Name the symbol before, in the colour that won the vote: neither field can do it alone:
 *
 *     x = votes, then symbols     y_i = x_{i−1} + V · winner     weights: 1 where i ≥ votes + reach, else 0
 *
 * Symbols are ids 0 … V − 1, votes the ids V and V + 1. The first `reach` symbols are not scored, so that both bounds
 * hold:
 * - **band only, ½**: no vote is within reach of a scored token. Examples 2e and 2e + 1 have the same symbols and
 *   opposite votes, so whatever such a model answers, it is wrong in one of the two: at most ½ on every pair, not just
 *   on average.
 * - **linear only, without positions, E[max count] / (symbols − 1)**: its output is a function of the token and of the
 *   multiset of tokens. Given those, the predecessor is uniform among the other symbols of the sequence: the best
 *   answer is the commonest symbol. 0.23 by default.
 *
 * The splits draw from separate streams: 8³² symbol sequences leave no chance of meeting one twice.
 *
 * @throws TypeError when an option is unknown / RangeError when one is out of bounds
 */
export function switchBoard(options: SwitchBoardOptions = {}): SwitchBoardTask {
  const { votes, majority, symbols, alphabet, reach, seed } = integerOptions("switchBoard", options, {
    votes: { default: 16, min: 1 },
    majority: { default: 11, min: 1 },
    symbols: { default: 32, min: 2 },
    alphabet: { default: 8, min: 2 },
    reach: { default: 4, min: 1, because: "the first symbol has no symbol before it" },
    seed: seedOption,
  });
  if (2 * majority <= votes || majority > votes) {
    throw new RangeError(
      `switchBoard: expected majority above half of ${votes} votes and at most all, got ${majority}`,
    );
  }
  if (reach >= symbols) {
    throw new RangeError(`switchBoard: expected reach < symbols (${symbols}), got ${reach}; no token would be scored`);
  }
  const length = votes + symbols;

  function example(split: Split, index: number): Example {
    const twin = index % 2;
    const { below, shuffle } = stream(seed, split, (index - twin) / 2);
    const winner = below(2) ^ twin;
    const tokens = new Int32Array(length);
    for (let i = 0; i < votes; i++) tokens[i] = alphabet + (i < majority ? winner : 1 - winner);
    shuffle(tokens.subarray(0, votes));
    for (let i = votes; i < length; i++) tokens[i] = below(alphabet);
    const labels = new Int32Array(length);
    for (let i = votes + 1; i < length; i++) labels[i] = tokens[i - 1] + alphabet * winner;
    const weights = new Float32Array(length).fill(1, votes + reach);
    return { tokens, labels, weights };
  }

  function describe({ tokens, labels }: Example): string {
    const ballot = Array.from(tokens.subarray(0, votes), (vote) => "-+"[vote - alphabet]).join("");
    const winner = "-+"[Math.floor(labels[length - 1] / alphabet)];
    return `votes ${ballot} → ${winner}, symbols ${tokens.subarray(votes).join(" ")}`;
  }

  return {
    ...defineTask({
      name: "switchBoard",
      kind: "label-tokens",
      causal: false,
      vocabulary: alphabet + 2,
      length,
      classes: 2 * alphabet,
      examples: { train: Infinity, validation: Infinity, test: Infinity },
      example,
      describe,
    }),
    get bounds() {
      return { band: 1 / 2, linear: Math.min(1, expectedMaximum(symbols, alphabet) / (symbols - 1)) };
    },
  };
}

/**
 * How often the commonest of `kinds` symbols occurs among `draws`, on average:
 *
 *     E[max] = Σ_c P(max > c)     P(max ≤ c) = draws! / kinds^draws · [x^draws] (Σ_{j ≤ c} x^j / j!)^kinds
 */
function expectedMaximum(draws: number, kinds: number): number {
  let expected = 0;
  for (let cap = 0, above = 1; above > 1e-12; cap++) {
    // chances[t]: that t draws from the kinds so far put at most `cap` on each
    let chances: number[] = Array.from({ length: draws + 1 }, (_, t) => (t <= cap ? 1 : 0));
    for (let kind = 2; kind <= kinds; kind++) {
      chances = chances.map((_, t) => {
        let binomial = (1 - 1 / kind) ** t;
        let chance = 0;
        for (let here = 0; here <= Math.min(cap, t); here++) {
          chance += binomial * chances[t - here];
          binomial *= (t - here) / ((here + 1) * (kind - 1));
        }
        return chance;
      });
    }
    above = 1 - chances[draws];
    expected += above;
  }
  return expected;
}
