import type { DType } from "@fmmformer/autodiff";
import { type CallParams, type Equation, sizeOf, type Var } from "@fmmformer/autodiff/extend";
import type { Builder } from "./builder.ts";
import { float, type Place, type Word } from "./plan.ts";
import { bytesOf, reshaped, type View } from "./view.ts";

// Composed ops that have kernels of their own: which uses of them the kernels take, and the words of their steps. The kernels are in
// assembly/, one file an op; what they do not take is written out as primitives. Inputs of a pullback are those of the op, what it gave
// (residuals behind), and cotangents.

/** A use of a composed op. */
export type Call = Equation & { readonly params: CallParams };

/** A composed op that has kernels. */
export interface FusedOp {
  /** Whether the kernels do this use of it. */
  takes(call: Call): boolean;
  lower(builder: Builder, call: Call): void;
}

type Atom = Equation["ins"][number];

const inFloat32 = ({ ins, outs }: Call): boolean => [...ins, ...outs].every(({ dtype }) => dtype !== "float64");

/** Static parameters of the op. */
function parameters<P>({ params }: Call): P {
  return params.callee.params as P;
}

/** Which of its arguments a pullback gives cotangents of, in the order of its results: null for those it does not. */
function wanted<Names extends string>(
  { params, outs }: Call,
  names: readonly Names[],
): { readonly [name in Names]: Var | null } {
  const needs = params.callee.params.needs as readonly boolean[];
  let at = 0;
  const found = names.map((name, i) => [name, needs[i] ? outs[at++] : null]);
  return Object.fromEntries(found) as { readonly [name in Names]: Var | null };
}

/** Storage for a result, its address; 0 where it is not wanted. */
function created(b: Builder, y: Var | null): Word {
  if (!y) return 0;
  const to = b.create(y);
  b.define(y, to);
  return b.address(to);
}

/** A row-major operand. */
function dense(b: Builder, x: Atom): Place {
  return b.address(b.contiguous(x));
}

/**
 * A view with its last `core` axes, and what is in front joined to one: its address, and the strides in bytes of all axes but the last,
 * which is contiguous. It is copied where strides cannot say that.
 */
function strided(b: Builder, x: Atom | View, core: number): readonly Word[] {
  const view = "offset" in x ? x : b.view(x);
  const lead = sizeOf(view.shape.slice(0, -core));
  const joined = reshaped(view, [lead, ...view.shape.slice(-core)]);
  const last = joined?.strides[core];
  const good = joined && typeof joined.source !== "number" && (last === 1 || view.shape[view.shape.length - 1] === 1);
  if (!good || joined.strides.some((s) => s < 0)) return strided(b, b.contiguous(x), core);
  const bytes = bytesOf[view.dtype as DType];
  return [b.address(joined), ...joined.strides.slice(0, core).map((s) => s * bytes)];
}

/** The same for a result: storage, or four zeros where it is not wanted. */
function stridedResult(b: Builder, y: Var | null, core: number): readonly Word[] {
  if (!y) return new Array<number>(1 + core).fill(0);
  const to = b.create(y);
  b.define(y, to);
  return strided(b, to, core);
}

// ——— Rows ———

const layerNorm: FusedOp = {
  takes: inFloat32,
  lower(b, call) {
    const {
      ins: [x, gain, bias],
      outs,
    } = call;
    const c = x.shape[x.shape.length - 1];
    const words = [dense(b, x), dense(b, gain), dense(b, bias), ...outs.map((y) => created(b, y))];
    const { eps } = parameters<{ eps: number }>(call);
    const flop = 8 * sizeOf(x.shape);
    b.emit(
      { kernel: "layerNorm", words: [...words, sizeOf(x.shape) / c, c, float(eps)], label: "layerNorm", flop },
      outs.map((y) => b.view(y)),
    );
  },
};

const layerNormPullback: FusedOp = {
  takes: inFloat32,
  lower(b, call) {
    const [x, gain, , , center, inverse, g] = call.ins;
    const { dx, dgain, dbias } = wanted(call, ["dx", "dgain", "dbias"]);
    const c = x.shape[x.shape.length - 1];
    const rows = sizeOf(x.shape) / c;
    const blocks = Math.ceil(rows / 128);
    const partials = dgain || dbias ? { buffer: b.buffer(blocks * 2 * c * 4), offset: 0 } : 0;
    const operands = [x, gain, center, inverse, g].map((y) => dense(b, y));
    const words = [...operands, created(b, dx), 0, partials, rows, c];
    b.emit(
      { kernel: "layerNormPullback", words, label: "layerNorm.pullback", flop: 12 * rows * c },
      dx ? [b.view(dx)] : [],
    );
    if (partials === 0) return;
    const sums = [partials, created(b, dgain), created(b, dbias), blocks, c];
    const written = [dgain, dbias].flatMap((y) => (y ? [b.view(y)] : []));
    b.emit({ kernel: "layerNormPullbackSum", words: sums, label: "layerNorm.pullback (parts)" }, written);
  },
};

function notAClass(label: number, classes: number): RangeError {
  return new RangeError(
    `take: expected indices from 0 to ${classes - 1}, got ${label}; check the vocabulary size or clip the ids first`,
  );
}

const crossEntropy: FusedOp = {
  takes: inFloat32,
  lower(b, { ins: [logits, labels], outs: [losses] }) {
    const classes = logits.shape[logits.shape.length - 1];
    const rows = sizeOf(labels.shape);
    const error = b.error((label) => notAClass(label, classes));
    const words = [dense(b, logits), dense(b, labels), created(b, losses), error, rows, classes];
    b.emit({ kernel: "softmaxCrossEntropy", words, label: "softmaxCrossEntropy", flop: 4 * rows * classes }, [
      b.view(losses),
    ]);
  },
};

const crossEntropyPullback: FusedOp = {
  takes: inFloat32,
  lower(b, { ins: [logits, labels, , g], outs: [dlogits] }) {
    const classes = logits.shape[logits.shape.length - 1];
    const rows = sizeOf(labels.shape);
    const words = [dense(b, logits), dense(b, labels), dense(b, g), created(b, dlogits), rows, classes];
    b.emit(
      { kernel: "softmaxCrossEntropyPullback", words, label: "softmaxCrossEntropy.pullback", flop: 6 * rows * classes },
      [b.view(dlogits)],
    );
  },
};

// ——— The far field ———

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
  const up = (x: number): number => Math.ceil(x / 4) * 4;
  return { words: [b, h, r, n, f, m, segment], states: b * h * r, parts, size: f * (m + 1), padded: [up(f), up(m)] };
}

const lowRankFlop = ([b, h, r, n, f, m]: readonly number[], products: number): number =>
  2 * products * b * h * r * n * f * (m + 1);

const farField: FusedOp = {
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
    const partials = { buffer: b.buffer(states * parts * size * 4), offset: 0 };
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
      ...stridedResult(b, terms, 4),
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

const farFieldPullback: FusedOp = {
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
    const partials = stateWanted ? { buffer: b.buffer(states * parts * size * 4), offset: 0 } : 0;
    const queries = [
      ...words,
      ...strided(b, q, 4),
      dense(b, last),
      ...strided(b, g, 4),
      ...strided(b, terms, 4),
      dense(b, weights),
      Number(divide),
      float(eps),
      ...stridedResult(b, dq, 4),
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
    const sums = dstate ? created(b, dstate) : { buffer: b.buffer(states * size * 4), offset: 0 };
    const zero = typeof b.view(r).source === "number" && b.view(r).source === 0;
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
      ...stridedResult(b, dk, 4),
      ...stridedResult(b, dv, 3),
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

/** The composed ops with kernels, by the names of their calls. */
export const fusedOps: Readonly<Record<string, FusedOp>> = {
  layerNorm,
  "layerNorm.pullback": layerNormPullback,
  softmaxCrossEntropy: crossEntropy,
  "softmaxCrossEntropy.pullback": crossEntropyPullback,
  farField,
  "farField.pullback": farFieldPullback,
};
