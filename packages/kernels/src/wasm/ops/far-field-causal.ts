import type { Atom } from "@fmmformer/autodiff/extend";
import { type Call, parameters, wanted } from "../../composed-call.ts";
import type { LowRankRule } from "../../low-rank-field.ts";
import type { Builder } from "../builder.ts";
import { float, type Place, type Word } from "../plan.ts";
import {
  type LowRankSizes,
  lowRankFlop,
  lowRankSizes,
  partialStates,
  pulledInputs,
  pulledWords,
  pullQueries,
  stateOf,
  writeStates,
} from "./low-rank-steps.ts";
import { causalChunk as chunk, created, padded, strided, stridedResult } from "./operands.ts";

/** The far field that looks back only: the states before segments, where there are several, and within a segment chunk by chunk. */
export function lowerCausal(b: Builder, call: Call): void {
  const [q, k, v, state = null] = call.ins;
  const [terms, last, weights] = call.outs;
  const rule = parameters<LowRankRule>(call);
  const sizes = lowRankSizes(q, v, rule);
  const { words, f, m } = sizes;
  const [F, M] = sizes.padded;
  const [key, value] = [strided(b, k, 4), strided(b, v, 3)];
  const read = [
    ...words,
    ...strided(b, q, 4),
    ...key,
    ...value,
    runningState(b, sizes, state, { reverse: false, parts: () => writeStates(b, sizes, key, value) }),
    ...stridedResult(b, terms, 4, q),
    created(b, weights),
    Number(rule.divide),
    float(rule.eps),
    created(b, last),
  ];
  b.emit(
    {
      kernel: "lowRankReadCausal",
      words: read,
      label: "farField (read)",
      scratch: 4 * ((f + 2 * chunk) * M + (F + chunk) * (chunk + 1) + f * chunk + Math.max(M, chunk)),
      flop: lowRankFlop(sizes, 2) + chunkFlop(sizes, f + m + 1),
    },
    [b.view(terms), b.view(weights), b.view(last)],
  );
}

export function lowerCausalPullback(b: Builder, call: Call): void {
  const { q, k, v, state, r, ...read } = pulledInputs(call);
  const { dq, dk, dv, dstate } = wanted(call, ["dq", "dk", "dv", "dstate"]);
  const rule = parameters<LowRankRule>(call);
  const sizes = lowRankSizes(q, v, rule);
  const { words, f, m } = sizes;
  const [F, M] = sizes.padded;
  const [key, value] = [strided(b, k, 4), strided(b, v, 3)];
  const pulled = pulledWords(b, read, rule);
  const before = dq
    ? runningState(b, sizes, state, { reverse: false, parts: () => writeStates(b, sizes, key, value) })
    : 0;
  const pullParts = (): Place => {
    const partials = partialStates(b, sizes);
    pullQueries(b, sizes, { q, state: 0, pulled, dq: null, partials });
    return partials;
  };
  const behind = dk || dv || dstate ? runningState(b, sizes, r, { reverse: true, parts: pullParts }) : 0;
  const [W, C] = [padded(m + 1), chunk];
  const chunks = Math.ceil(sizes.segment / C);
  b.emit(
    {
      kernel: "lowRankPullCausal",
      words: [
        ...words,
        ...strided(b, q, 4),
        ...key,
        ...value,
        before,
        behind,
        ...pulled,
        ...stridedResult(b, dq, 4, q),
        ...stridedResult(b, dk, 4, k),
        ...stridedResult(b, dv, 3, v),
        created(b, dstate),
      ],
      label: "farField.pullback",
      scratch:
        4 * ((chunks + 1) * (m + 1 + C) * F + f * W + C * (W + C) + (f + m + 1 + C) * C + (C + 1) * Math.max(F, M, C)),
      flop: lowRankFlop(sizes, 5) + chunkFlop(sizes, 3 * f + 2 * (m + 1)),
    },
    [dq, dk, dv, dstate].flatMap((y) => (y ? [b.view(y)] : [])),
  );
}

/** What the tokens of a chunk do among themselves, in products that are so wide together. */
function chunkFlop({ states, n }: LowRankSizes, width: number): number {
  return 2 * states * n * chunk * width;
}

/** The states before segments (reverse: behind them), made from what each adds; 0 where they are zeros. */
function runningState(
  b: Builder,
  { states, parts: segments, size }: LowRankSizes,
  first: Atom | null,
  { reverse, parts }: { readonly reverse: boolean; readonly parts: () => Place },
): Word {
  const from = stateOf(b, first);
  if (segments <= 1) return from;
  const places = parts();
  const words = [states, segments, size, Number(reverse), from, places, 0];
  b.emit({ kernel: "causalPrefix", words, label: "farField (parts)" }, []);
  return places;
}
