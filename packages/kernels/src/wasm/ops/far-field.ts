import { type Atom, sizeOf } from "@fmmformer/autodiff/extend";
import { inFloat32, parameters, wanted } from "../../composed-call.ts";
import { float } from "../plan.ts";
import { created, dense, type FusedOp, padded, strided, stridedResult } from "./operands.ts";

/** Tokens whose states are summed on their own: a unit of work. */
const segment = 256;

interface LowRank {
  readonly causal: boolean;
  readonly divide: boolean;
  readonly eps: number;
}

/** b, h, r, n, f, m and the tokens of a segment, as all kernels of the low-rank field begin. */
function lowRankSizes(
  q: Atom,
  v: Atom,
): {
  readonly words: number[];
  readonly states: number;
  readonly parts: number;
  readonly size: number;
  readonly padded: readonly [F: number, M: number];
} {
  const [h, r, n, f] = q.shape.slice(-4);
  const m = v.shape[v.shape.length - 1];
  const b = sizeOf(q.shape.slice(0, -4));
  const parts = Math.ceil(n / segment);
  return {
    words: [b, h, r, n, f, m, segment],
    states: b * h * r,
    parts,
    size: f * (m + 1),
    padded: [padded(f), padded(m)],
  };
}

const lowRankFlop = ([b, h, r, n, f, m]: readonly number[], products: number): number =>
  2 * products * b * h * r * n * f * (m + 1);

export const farField: FusedOp = {
  takes: (call) => inFloat32(call) && !parameters<LowRank>(call).causal,
  lower(b, call) {
    const [q, k, v, state] = call.ins;
    const [terms, last, weights] = call.outs;
    const { divide, eps } = parameters<LowRank>(call);
    const {
      words,
      states,
      parts,
      size,
      padded: [F, M],
    } = lowRankSizes(q, v);
    const f = words[4];
    const partials = b.space(states * parts * size * 4);
    const key = strided(b, k, 4);
    const value = strided(b, v, 3);
    b.emit(
      {
        kernel: "lowRankState",
        words: [...words, ...key, ...value, partials],
        label: "farField (state)",
        scratch: 4 * (f * M + F + 32 + 32 * M),
        flop: lowRankFlop(words, 1),
      },
      [],
    );
    const sums = created(b, last);
    b.emit(
      {
        kernel: "lowRankStateSum",
        words: [partials, state ? dense(b, state) : 0, sums, states, parts, size],
        label: "farField (parts)",
      },
      [b.view(last)],
    );
    const read = [
      ...words,
      ...strided(b, q, 4),
      sums,
      ...stridedResult(b, terms, 4, q),
      created(b, weights),
      Number(divide),
      float(eps),
    ];
    b.emit(
      {
        kernel: "lowRankRead",
        words: read,
        label: "farField (read)",
        scratch: 4 * (f * M + F + M + 32 + 32 * M),
        flop: lowRankFlop(words, 1),
      },
      [b.view(terms), b.view(weights)],
    );
  },
};

export const farFieldPullback: FusedOp = {
  takes: (call) => inFloat32(call) && !parameters<LowRank>(call).causal,
  lower(b, call) {
    const { divide, eps } = parameters<LowRank>(call);
    const withState = call.ins.length === 9;
    const [q, k, v] = call.ins;
    const [terms, last, weights, g, r] = call.ins.slice(withState ? 4 : 3);
    const { dq, dk, dv, dstate } = wanted(call, ["dq", "dk", "dv", "dstate"]);
    const {
      words,
      states,
      parts,
      size,
      padded: [F, M],
    } = lowRankSizes(q, v);
    const [, , , , f, m] = words;
    const stateWanted = dk || dv || dstate;
    const partials = stateWanted ? b.space(states * parts * size * 4) : 0;
    const queries = [
      ...words,
      ...strided(b, q, 4),
      dense(b, last),
      ...strided(b, g, 4),
      ...strided(b, terms, 4),
      dense(b, weights),
      Number(divide),
      float(eps),
      ...stridedResult(b, dq, 4, q),
      partials,
    ];
    const ofQueries = 4 * (f * M + F + (m + 1) * F + F + 128 + 64 * M + 64 * F);
    b.emit(
      {
        kernel: "lowRankPullQueries",
        words: queries,
        label: "farField.pullback (queries)",
        scratch: ofQueries,
        flop: lowRankFlop(words, 2),
      },
      dq ? [b.view(dq)] : [],
    );
    if (!stateWanted) return;
    const sums = dstate ? created(b, dstate) : b.space(states * size * 4);
    const zero = b.view(r).source === 0;
    b.emit(
      {
        kernel: "lowRankStateSum",
        words: [partials, zero ? 0 : dense(b, r), sums, states, parts, size],
        label: "farField.pullback (parts)",
      },
      dstate ? [b.view(dstate)] : [],
    );
    if (!dk && !dv) return;
    const keys = [
      ...words,
      ...strided(b, k, 4),
      ...strided(b, v, 3),
      sums,
      ...stridedResult(b, dk, 4, k),
      ...stridedResult(b, dv, 3, v),
    ];
    const ofKeys = 4 * (f * M + F + (m + 1) * F + M + 64 * Math.max(M, F));
    b.emit(
      {
        kernel: "lowRankPullKeys",
        words: keys,
        label: "farField.pullback (keys)",
        scratch: ofKeys,
        flop: lowRankFlop(words, 2),
      },
      [dk, dv].flatMap((y) => (y ? [b.view(y)] : [])),
    );
  },
};
