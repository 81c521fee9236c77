import { type Atom, sizeOf, type Var } from "@fmmformer/autodiff/extend";
import { type Call, inFloat32, parameters, wanted } from "../../composed-call.ts";
import { sidesOf } from "../../near-field.ts";
import type { Builder } from "../builder.ts";
import { float, type Word } from "../plan.ts";
import { created, dense, type FusedOp, padded, strided, stridedResult } from "./operands.ts";

interface Rule {
  readonly causal: boolean;
  readonly scale: number;
  readonly bandwidth: number;
  /** Of dropout; absent without */
  readonly rate?: number;
}

/** q, k, v, and the others where there are any: they are told apart by how many of their axes are not batch axes, and what they hold. */
interface Inputs {
  readonly tokens: readonly [q: Atom, k: Atom, v: Atom];
  readonly mask: Atom | null;
  readonly bias: Atom | null;
  readonly dropped: Atom | null;
}

function inputsOf({ ins, params }: Call, count: number): Inputs {
  const core = params.callee.core as readonly number[];
  const mask = count > 3 && core[3] === 1 ? ins[3] : null;
  const [q, k, v, ...others] = ins.slice(0, count);
  const rest = others.filter((x) => x !== mask);
  return {
    tokens: [q, k, v],
    mask,
    bias: rest.find(({ dtype }) => dtype !== "bool") ?? null,
    dropped: rest.find(({ dtype }) => dtype === "bool") ?? null,
  };
}

/** What else a pullback reads: o and L, and the cotangent of o. */
function pulledInputs(call: Call): Inputs & { readonly o: Atom; readonly l: Atom; readonly g: Atom } {
  const count = call.ins.length - 3;
  const [o, l, g] = call.ins.slice(count);
  return { ...inputsOf(call, count), o, l, g };
}

/** Cotangents that a pullback gives: that of the bias shifts places as the bias does among the inputs. */
function resultsOf(
  call: Call,
  { mask, bias }: Inputs,
): { readonly [name in "dq" | "dk" | "dv" | "dbias"]?: Var | null } {
  return wanted(call, ["dq", "dk", "dv", ...(mask ? [null] : []), ...(bias ? (["dbias"] as const) : [])]);
}

/** b, h, n, d and m. */
function sizesOf([q, , v]: Inputs["tokens"]): readonly [b: number, h: number, n: number, d: number, m: number] {
  const [h, n, d] = q.shape.slice(-3);
  return [sizeOf(q.shape.slice(0, -3)), h, n, d, v.shape[v.shape.length - 1]];
}

/** The mask as words that are 0 or not, and how far batches are apart. */
function maskWords(b: Builder, mask: Atom | null, n: number): readonly Word[] {
  return mask ? [b.address(b.contiguous(b.widened(mask))), n * 4] : [0, 0];
}

/** Which weights are dropped, and what multiplies the others. */
function droppedWords(b: Builder, call: Call, { dropped }: Inputs): readonly Word[] {
  const { rate = 0 } = parameters<Rule>(call);
  return [dropped ? dense(b, dropped) : 0, float(1 / (1 - rate))];
}

// ——— The near field ———

function band(call: Call): {
  readonly left: number;
  readonly right: number;
  readonly slots: number;
  readonly scale: number;
} {
  const rule = parameters<Rule>(call);
  const { left, right } = sidesOf(rule);
  return { left, right, slots: left + right + 1, scale: rule.scale };
}

/**
 * How many heads the near field takes together, block after block of tokens: those that lie side by side in all that is read and written, as
 * far as they are 256 numbers wide. Memory then gives whole rows, and the second-level cache keeps them until the last of these heads.
 */
function headsTogether(h: number, operands: readonly (readonly Word[])[], widths: readonly number[]): number {
  if (!operands.every(([at, , head], i) => at === 0 || head === widths[i] * 4)) return 1;
  let heads = h;
  while (heads > 1 && heads * Math.max(...widths) > 256) heads = heads % 2 ? 1 : heads / 2;
  return heads;
}

/** Whether all batches have the same bias, (h, slots). */
function isShared({ bias }: Inputs): boolean {
  return !bias || sizeOf(bias.shape.slice(0, -2)) === 1;
}

export const nearField: FusedOp = {
  takes: (call) => inFloat32(call) && isShared(inputsOf(call, call.ins.length)),
  lower(b, call) {
    const inputs = inputsOf(call, call.ins.length);
    const [o, l] = call.outs;
    const { left, right, slots, scale } = band(call);
    const sizes = sizesOf(inputs.tokens);
    const [batch, h, n, d, m] = sizes;
    const tokens = inputs.tokens.map((x) => strided(b, x, 3));
    const words = [
      ...sizes,
      left,
      right,
      float(scale),
      ...tokens.flat(),
      ...stridedResult(b, o, 3, inputs.tokens[0]),
      created(b, l),
      ...maskWords(b, inputs.mask, n),
      inputs.bias ? dense(b, inputs.bias) : 0,
      ...droppedWords(b, call, inputs),
      headsTogether(h, tokens, [d, d, m]),
    ];
    const scratch = 4 * (240 * (d + 1) + 128 * Math.max(padded(d), padded(m)) + 65 * padded(m) + 5700);
    b.emit({ kernel: "nearField", words, label: "nearField", scratch, flop: 2 * batch * h * n * slots * (d + m) }, [
      b.view(o),
      b.view(l),
    ]);
  },
};

export const nearFieldPullback: FusedOp = {
  takes: (call) => inFloat32(call) && isShared(pulledInputs(call)),
  lower(b, call) {
    const inputs = pulledInputs(call);
    const { dq = null, dk = null, dv = null, dbias = null } = resultsOf(call, inputs);
    const { left, right, slots, scale } = band(call);
    const sizes = sizesOf(inputs.tokens);
    const [batch, h, n, d, m] = sizes;
    const tokens = inputs.tokens.map((x) => strided(b, x, 3));
    const results = [dq, dk, dv].map((y, i) => stridedResult(b, y, 3, inputs.tokens[i]));
    const heads = headsTogether(h, [...tokens, ...results], [d, d, m, d, d, m]);
    const segment = Math.max((batch * h) / heads >= 8 ? 1024 : 256, 2 * slots);
    const segments = Math.ceil(n / segment);
    const parts = dbias ? b.space(batch * h * segments * slots * 4) : 0;
    const words = [
      ...sizes,
      left,
      right,
      float(scale),
      ...tokens.flat(),
      ...strided(b, inputs.o, 3),
      dense(b, inputs.l),
      ...maskWords(b, inputs.mask, n),
      inputs.bias ? dense(b, inputs.bias) : 0,
      ...strided(b, inputs.g, 3),
      ...results.flat(),
      parts,
      segment,
      ...droppedWords(b, call, inputs),
      heads,
    ];
    const widest = Math.max(padded(d), padded(m));
    const scratch =
      4 *
      (64 * (d + m + 2) +
        176 * (Math.max(d, m) + 1) +
        128 * widest +
        64 * (padded(d) + padded(m)) +
        129 * widest +
        11076);
    const written = [dq, dk, dv].flatMap((y) => (y ? [b.view(y)] : []));
    b.emit(
      {
        kernel: "nearFieldPullback",
        words,
        label: "nearField.pullback",
        scratch,
        flop: 2 * batch * h * n * slots * (3 * d + 2 * m),
      },
      written,
    );
    if (!dbias) return;
    b.emit(
      {
        kernel: "nearFieldBias",
        words: [batch, h, segments, slots, parts, created(b, dbias)],
        label: "nearField.pullback (bias)",
      },
      [b.view(dbias)],
    );
  },
};

// ——— Full attention ———

/** Address and strides of a bias that stretches to (b, h, n, n). */
function biasWords(b: Builder, bias: Atom | null, [batch, h, n]: readonly number[]): readonly Word[] {
  if (!bias) return [0, 0, 0, 0, 0];
  const view = b.contiguous(bias);
  const [rows, columns] = view.shape.slice(-2);
  const heads = view.shape[view.shape.length - 3];
  const batches = sizeOf(view.shape.slice(0, -3));
  if (batches !== 1 && batches !== batch) throw new Error("wasm: a bias of some batches does not stretch");
  const matrix = rows * columns;
  const step = (size: number, whole: number, stride: number): number => (size === whole && whole > 1 ? stride * 4 : 0);
  return [
    b.address(view),
    step(batches, batch, heads * matrix),
    step(heads, h, matrix),
    step(rows, n, columns),
    step(columns, n, 1),
  ];
}

/** Words that all kernels of full attention begin with. */
function fullWords(b: Builder, call: Call, { tokens }: Inputs): readonly Word[] {
  const { causal, scale } = parameters<Rule>(call);
  return [...sizesOf(tokens), Number(causal), float(scale), ...tokens.flatMap((x) => strided(b, x, 3))];
}

/** A bias that some batches share and others do not is left to primitives. */
function stretches({ tokens: [q], bias }: Inputs): boolean {
  if (!bias) return true;
  const lead = (x: Atom): number => sizeOf(x.shape.slice(0, -3));
  return lead(bias) === 1 || lead(bias) === lead(q);
}

export const fullAttention: FusedOp = {
  takes: (call) => inFloat32(call) && stretches(inputsOf(call, call.ins.length)),
  lower(b, call) {
    const inputs = inputsOf(call, call.ins.length);
    const [o, l] = call.outs;
    const sizes = sizesOf(inputs.tokens);
    const [batch, h, n, d, m] = sizes;
    const words = [
      ...fullWords(b, call, inputs),
      ...stridedResult(b, o, 3, inputs.tokens[0]),
      created(b, l),
      ...maskWords(b, inputs.mask, n),
      ...biasWords(b, inputs.bias, sizes),
      ...droppedWords(b, call, inputs),
    ];
    const [D, M] = [padded(d), padded(m)];
    const scratch = 4 * (32 * d + 2048 + 32 * M + 64 * D + 64 * M + 64 + 128);
    const flop = 2 * batch * h * n * n * (d + m);
    b.emit({ kernel: "fullAttention", words, label: "fullAttention", scratch, flop }, [b.view(o), b.view(l)]);
  },
};

export const fullAttentionPullback: FusedOp = {
  takes: (call) => inFloat32(call) && stretches(pulledInputs(call)),
  lower(b, call) {
    const inputs = pulledInputs(call);
    const { dq = null, dk = null, dv = null, dbias = null } = resultsOf(call, inputs);
    const sizes = sizesOf(inputs.tokens);
    const [batch, h, n, d, m] = sizes;
    const [D, M] = [padded(d), padded(m)];
    const dots = b.space(batch * h * n * 4);
    const g = strided(b, inputs.g, 3);
    b.emit(
      {
        kernel: "fullAttentionDots",
        words: [batch, h, n, m, ...g, ...strided(b, inputs.o, 3), dots],
        label: "fullAttention.pullback (dots)",
        flop: 2 * batch * h * n * m,
      },
      [],
    );
    const before = [
      ...fullWords(b, call, inputs),
      ...g,
      dense(b, inputs.l),
      ...maskWords(b, inputs.mask, n),
      ...biasWords(b, inputs.bias, sizes),
      dots,
    ];
    const dropped = droppedWords(b, call, inputs);
    const flop = 2 * batch * h * n * n;
    if (dq || dbias) {
      const ds = dbias ? b.create({ shape: [...inputs.tokens[0].shape.slice(0, -1), n], dtype: "float32" }) : null;
      const words = [...before, ...stridedResult(b, dq, 3, inputs.tokens[0]), ds ? b.address(ds) : 0, ...dropped];
      const scratch = 4 * (32 * (d + m) + 4096 + 96 * D + 64 * M + 160);
      const written = [...(dq ? [b.view(dq)] : []), ...(ds ? [ds] : [])];
      b.emit(
        {
          kernel: "fullAttentionPullQueries",
          words,
          label: "fullAttention.pullback (queries)",
          scratch,
          flop: flop * (2 * d + m),
        },
        written,
      );
      if (ds && dbias) b.sumTo(ds, dbias);
    }
    if (!dk && !dv) return;
    const [, k, v] = inputs.tokens;
    const words = [...before, ...stridedResult(b, dk, 3, k), ...stridedResult(b, dv, 3, v), ...dropped];
    const scratch = 4 * (32 * (d + m) + 4096 + 96 * (D + M) + 160);
    const written = [dk, dv].flatMap((y) => (y ? [b.view(y)] : []));
    b.emit(
      {
        kernel: "fullAttentionPullKeys",
        words,
        label: "fullAttention.pullback (keys)",
        scratch,
        flop: flop * (2 * d + 2 * m),
      },
      written,
    );
  },
};
