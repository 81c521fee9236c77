import { type Call, inFloat32, parameters, wanted } from "../../composed-call.ts";
import type { LowRankRule } from "../../low-rank-field.ts";
import type { Builder } from "../builder.ts";
import { float, type Word } from "../plan.ts";
import type { View } from "../view.ts";
import { lowerCausal, lowerCausalPullback } from "./far-field-causal.ts";
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
import { created, dense, type FusedOp, strided, stridedResult } from "./operands.ts";

export const farField: FusedOp = {
  takes: inFloat32,
  lower: (b, call) => (parameters<LowRankRule>(call).causal ? lowerCausal : lowerBidirectional)(b, call),
};

export const farFieldPullback: FusedOp = {
  takes: inFloat32,
  lower: (b, call) =>
    (parameters<LowRankRule>(call).causal ? lowerCausalPullback : lowerBidirectionalPullback)(b, call),
};

function lowerBidirectional(b: Builder, call: Call): void {
  const [q, k, v, state = null] = call.ins;
  const [terms, last, weights] = call.outs;
  const rule = parameters<LowRankRule>(call);
  const sizes = lowRankSizes(q, v, rule);
  const { words, f } = sizes;
  const [F, M] = sizes.padded;
  const partials = writeStates(b, sizes, strided(b, k, 4), strided(b, v, 3));
  const sums = created(b, last);
  sumStates(b, sizes, [partials, stateOf(b, state), sums], "farField (parts)", [b.view(last)]);
  const read = [
    ...words,
    ...strided(b, q, 4),
    sums,
    ...stridedResult(b, terms, 4, q),
    created(b, weights),
    Number(rule.divide),
    float(rule.eps),
  ];
  b.emit(
    {
      kernel: "lowRankRead",
      words: read,
      label: "farField (read)",
      scratch: 4 * (f * M + F + M + 32 + 32 * M),
      flop: lowRankFlop(sizes, 1),
    },
    [b.view(terms), b.view(weights)],
  );
}

function lowerBidirectionalPullback(b: Builder, call: Call): void {
  const { q, k, v, last, r, ...read } = pulledInputs(call);
  const { dq, dk, dv, dstate } = wanted(call, ["dq", "dk", "dv", "dstate"]);
  const rule = parameters<LowRankRule>(call);
  const sizes = lowRankSizes(q, v, rule);
  const { words, states, size, f, m } = sizes;
  const [F, M] = sizes.padded;
  const stateWanted = dk || dv || dstate;
  const partials = stateWanted ? partialStates(b, sizes) : 0;
  pullQueries(b, sizes, { q, state: dense(b, last), pulled: pulledWords(b, read, rule), dq, partials });
  if (!stateWanted) return;
  const sums = dstate ? created(b, dstate) : b.space(states * size * 4);
  sumStates(b, sizes, [partials, stateOf(b, r), sums], "farField.pullback (parts)", dstate ? [b.view(dstate)] : []);
  if (!dk && !dv) return;
  const keys = [
    ...words,
    ...strided(b, k, 4),
    ...strided(b, v, 3),
    sums,
    ...stridedResult(b, dk, 4, k),
    ...stridedResult(b, dv, 3, v),
  ];
  b.emit(
    {
      kernel: "lowRankPullKeys",
      words: keys,
      label: "farField.pullback (keys)",
      scratch: 4 * (f * M + F + (m + 1) * F + M + 64 * Math.max(M, F)),
      flop: lowRankFlop(sizes, 2),
    },
    [dk, dv].flatMap((y) => (y ? [b.view(y)] : [])),
  );
}

/** Add up parts, from a first state on: where the parts, that state and the sum lie. */
function sumStates(
  b: Builder,
  { states, parts, size }: LowRankSizes,
  places: readonly [partials: Word, first: Word, sums: Word],
  label: string,
  writes: readonly View[],
): void {
  b.emit({ kernel: "lowRankStateSum", words: [...places, states, parts, size], label }, writes);
}
