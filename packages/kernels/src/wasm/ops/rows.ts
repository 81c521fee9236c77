import { type Atom, Dense, noSuchRow, sizeOf, type Var } from "@fmmformer/autodiff/extend";
import { isFloat32, parameters, wanted } from "../../composed-call.ts";
import { byName } from "../../known-names.ts";
import type { Builder } from "../builder.ts";
import { float } from "../plan.ts";
import { created, dense, type FusedOp } from "./operands.ts";

/** Whether there is one number for each column, which a mapped axis would make more. */
function isRow(y: Atom, x: Atom): boolean {
  return sizeOf(y.shape) === x.shape[x.shape.length - 1];
}

export const layerNorm: FusedOp = {
  takes: ({ ins: [x, gain, bias] }) => [x, gain, bias].every((y) => isFloat32(y)) && isRow(gain, x) && isRow(bias, x),
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

export const layerNormPullback: FusedOp = {
  takes: layerNorm.takes,
  lower(b, call) {
    const [x, gain, , , center, inverse, g] = call.ins;
    const { dx, dgain, dbias } = wanted(call, ["dx", "dgain", "dbias"]);
    const c = x.shape[x.shape.length - 1];
    const rows = sizeOf(x.shape) / c;
    const blocks = Math.ceil(rows / 128);
    const partials = dgain || dbias ? b.space(blocks * 2 * c * 4) : 0;
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

export const crossEntropy: FusedOp = {
  takes: ({ ins: [logits] }) => isFloat32(logits),
  lower(b, { ins: [logits, labels], outs: [losses] }) {
    const classes = logits.shape[logits.shape.length - 1];
    const rows = sizeOf(labels.shape);
    const error = b.error((label) => noSuchRow("take", label, classes));
    const words = [dense(b, logits), dense(b, labels), created(b, losses), error, rows, classes];
    b.emit({ kernel: "softmaxCrossEntropy", words, label: "softmaxCrossEntropy", flop: 4 * rows * classes }, [
      b.view(losses),
    ]);
  },
};

export const crossEntropyPullback: FusedOp = {
  takes: crossEntropy.takes,
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

// Where the slope is wanted too, both are made at once from e^{−x²/2} and the tail of the normal distribution: the op is lowered in parts,
// and its pullback adds one to the chain they are in.

export const gelu: FusedOp = {
  takes: ({ ins: [x] }) => isFloat32(x),
  lower(b, { ins: [x], outs: [y] }, uses) {
    const pulled = "id" in x && uses.readers(x).some((reader) => byName({ "gelu.pullback": true }, reader));
    if (!pulled) return b.elementwise("gelu_float32", [x], y);
    const [e, tail]: Var[] = [
      { ...y, id: -1 },
      { ...y, id: -1 },
    ];
    b.elementwise("bell_float32", [x], e);
    b.elementwise("tail_float32", [x, e], tail);
    b.elementwise("geluOfTail_float32", [x, tail], y);
    b.notes.set(x, new Map([...(b.notes.get(x) ?? []), ["gelu bell", e], ["gelu tail", tail]]));
  },
};

export const geluPullback: FusedOp = {
  takes: ({ ins: [x] }) => isFloat32(x),
  lower(b, { ins: [x, , g], outs: [dx] }) {
    const slope: Var = { ...dx, id: -1 };
    const [e, tail] = ["gelu bell", "gelu tail"].map((name) => b.notes.get(x)?.get(name));
    if (e && tail) b.elementwise("geluSlopeOfTail_float32", [x, e, tail], slope);
    else b.elementwise("geluSlope_float32", [x], slope);
    b.elementwise("mul_float32", [g, slope], dx);
  },
};

export const eluPlusOne: FusedOp = {
  takes: ({ ins: [x] }) => isFloat32(x),
  lower: (b, { ins: [x], outs: [y] }) => b.elementwise("eluPlusOne_float32", [x], y),
};

interface Adam {
  readonly eps: number;
  /** β₁ and β₂, by their place among the arguments */
  readonly 4: number;
  readonly 5: number;
}

export const adamUpdate: FusedOp = {
  takes: (call) => {
    const { 4: beta1, 5: beta2 } = parameters<Adam>(call);
    const numbers = typeof beta1 === "number" && typeof beta2 === "number";
    return numbers && call.outs.every(isFloat32) && call.ins.length === 4 && sizeOf(call.ins[3].shape) === 1;
  },
  lower(b, call) {
    const [g, mu, nu, step] = call.ins;
    const { eps, 4: beta1, 5: beta2 } = parameters<Adam>(call);
    const [u, first, second] = call.outs;
    const [short1, short2] = [beta1, beta2].map((beta) => correction(b, step, beta));
    const like = (): Var => ({ ...u, id: -1 });
    const [square, mean, variance, root, shifted] = [like(), like(), like(), like(), like()];
    b.elementwise("average_float32", [mu, g, number(beta1)], first);
    b.elementwise("mul_float32", [g, g], square);
    b.elementwise("average_float32", [nu, square, number(beta2)], second);
    b.elementwise("div_float32", [first, short1], mean);
    b.elementwise("div_float32", [second, short2], variance);
    b.elementwise("sqrt_float32", [variance], root);
    b.elementwise("add_float32", [root, number(eps)], shifted);
    b.elementwise("div_float32", [mean, shifted], u);
  },
};

const scalar = { shape: [], dtype: "float32", weak: false } as const;

function number(x: number): Dense {
  return new Dense(scalar, Math.fround(x));
}

/** 1 − βᵗ = −expm1(t ln β) in float32, once for all parameters of a step. */
function correction(b: Builder, step: Atom, beta: number): Var {
  const key = `adam ${beta}`;
  const known = b.notes.get(step)?.get(key);
  if (known) return known;
  const variable = (): Var => ({ ...scalar, id: -1 });
  const [time, power, grown, found] = [variable(), variable(), variable(), variable()];
  if (step.dtype === "float32") b.elementwise("copy_4", [step], time);
  else b.elementwise(step.dtype === "float64" ? "float32_float64" : "float32_int32", [step], time);
  b.elementwise("mul_float32", [time, number(Math.log(Math.fround(beta)))], power);
  b.elementwise("expm1_float32", [power], grown);
  b.elementwise("neg_float32", [grown], found);
  b.define(found, b.contiguous(found)); // there before any parameter's chain begins
  b.notes.set(step, new Map([...(b.notes.get(step) ?? []), [key, found]]));
  return found;
}
