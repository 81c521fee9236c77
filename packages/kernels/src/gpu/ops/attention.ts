import type { Var } from "@fmmformer/autodiff/extend";
import { type Call, inFloat32, parameters, wanted } from "../../composed-call.ts";
import { sidesOf } from "../../near-field.ts";
import { type Builder, map } from "../builder.ts";
import type { Code } from "../code.ts";
import { elementwise } from "../elementwise.ts";
import { broadcast, computed, type Formula, reshaped } from "../formula.ts";
import { longestSum } from "../sums.ts";
import { type FusedOp, summedTo } from "./fused-op.ts";
import { twoOfRows } from "./two-of-rows.ts";

// Softmax attention over a band or over all pairs. Scores are computed once for each pair: with the log-sum-exp L of rows, weights are
// p = e^{t − L}, and with g the cotangent of o and D_i = g_i·o_i,
//
//     ds_ij = p_ij (g_i·v_j − D_i) = p_ij Σ_c g_ic (v_jc − o_ic)
//
// What keys get is gathered: of each key, over the queries that see it.

interface Rule {
  readonly causal: boolean;
  readonly scale: number;
  readonly bandwidth: number;
  /** Of dropout, whose bits are drawn on the host */
  readonly rate?: number;
}

/** Which keys queries see. */
interface Pairs {
  /** How many at most */
  readonly slots: number;
  /** The shape of a bias as it stretches to all pairs */
  biasShape(shape: readonly number[]): readonly number[];
  /** The key in a slot, and the condition under which there is one; empty where there always is */
  key(code: Code, query: string, slot: string): { readonly j: string; readonly exists: string };
  /** The t-th of the queries that may see a key, and in which slot it does */
  query(code: Code, key: string, t: string): { readonly i: string; readonly slot: string; readonly exists: string };
}

function inBand(n: number, rule: Rule): Pairs {
  const { left, right } = sidesOf(rule);
  const inside = (token: string): string => `${token} >= 0 && ${token} < ${n}`;
  return {
    slots: left + right + 1,
    biasShape: (shape) => [...shape.slice(0, -1), 1, ...shape.slice(-1)],
    key(code, query, slot) {
      const j = code.name(`${query} - ${left} + ${slot}`);
      return { j, exists: inside(j) };
    },
    query(code, key, t) {
      const i = code.name(`${key} - ${right} + ${t}`);
      return { i, slot: `(${left + right} - ${t})`, exists: inside(i) };
    },
  };
}

function allPairs(n: number, { causal }: Rule): Pairs {
  return {
    slots: n,
    biasShape: (shape) => shape,
    key: (_, query, slot) => ({ j: slot, exists: causal ? `${slot} <= ${query}` : "" }),
    query: (_, key, t) => ({ i: t, slot: key, exists: causal ? `${key} <= ${t}` : "" }),
  };
}

/** What both directions read; the mask and the bias stretched to all batches. */
interface Inputs {
  readonly q: Formula;
  readonly k: Formula;
  readonly v: Formula;
  readonly mask: Formula | null;
  readonly bias: Formula | null;
  readonly lead: readonly number[];
}

/** The mask and the bias are told apart by how many of their axes are not batch axes. */
function inputsOf(b: Builder, { params }: Call, operands: readonly Formula[], { slots, biasShape }: Pairs): Inputs {
  const core = params.callee.core as readonly number[];
  const [q, k, v, ...rest] = operands.map(b.plain);
  const lead = q.shape.slice(0, -3);
  const mask = rest.length > 0 && core[3] === 1 ? rest[0] : null;
  const bias = rest[mask ? 1 : 0];
  return {
    ...{ q, k, v, lead },
    mask: mask && broadcast(mask, [...lead, ...mask.shape.slice(-1)]),
    bias: bias ? broadcast(reshaped(bias, biasShape(bias.shape)), [...q.shape.slice(0, -1), slots]) : null,
  };
}

/** Do something where a key exists and is not masked. */
function seen(
  code: Code,
  { mask, lead }: Inputs,
  { place, key: { j, exists } }: { place: readonly string[]; key: ReturnType<Pairs["key"]> },
  then: () => void,
): void {
  const unmasked = (): void => {
    if (mask) code.when(`${mask.at(code, [...place.slice(0, lead.length), j])} !== 0`, then);
    else then();
  };
  if (exists === "") unmasked();
  else code.when(exists, unmasked);
}

/** One number for each pair: `otherwise` where the key is not seen, else `value` of the score. */
function ofPairs(
  inputs: Inputs,
  { pairs, scale, reads }: { readonly pairs: Pairs; readonly scale: number; readonly reads: readonly Formula[] },
  otherwise: number,
  value: (code: Code, score: string, place: readonly string[], j: string) => string,
): Formula {
  const { q, k, bias, mask } = inputs;
  const shape = [...q.shape.slice(0, -1), pairs.slots];
  const operands = [q, k, ...(bias ? [bias] : []), ...(mask ? [mask] : []), ...reads];
  return computed({ shape, dtype: q.dtype }, operands, 2 * q.shape[q.shape.length - 1], (code, place) => {
    const [i, t] = place.slice(-2);
    const z = place.slice(0, -2);
    const result = code.variable(code.literal(otherwise));
    const key = pairs.key(code, i, t);
    seen(code, inputs, { place, key }, () => {
      const score = dot(code, q, [...z, i], k, [...z, key.j], scale);
      const biased = bias ? `${score} + ${bias.at(code, place)}` : score;
      code.set(result, value(code, biased, place, key.j));
    });
    return result;
  });
}

/** scale · Σ_e x[…, e] y[…, e] */
function dot(
  code: Code,
  x: Formula,
  atX: readonly string[],
  y: Formula,
  atY: readonly string[],
  scale: number,
): string {
  const sum = code.variable("0");
  const add = (e: string): void => code.set(sum, `${sum} + ${x.at(code, [...atX, e])} * ${y.at(code, [...atY, e])}`);
  code.loop(x.shape[x.shape.length - 1], add);
  return `${sum} * ${code.literal(scale)}`;
}

/** The largest score µ of rows, 0 where all are −∞, and Σ e^{t − µ}. */
function normalizers(b: Builder, scores: Formula): readonly [shift: Formula, total: Formula] {
  const count = scores.shape[scores.shape.length - 1];
  return twoOfRows(
    b,
    [scores],
    (code, row) => {
      const largest = code.variable(scores.at(code, [...row, "0"]));
      code.loop(count, (t) => code.set(largest, `Math.max(${largest}, ${scores.at(code, [...row, t])})`));
      return `${largest} === ${code.literal(-Infinity)} ? 0 : ${largest}`;
    },
    (code, row, shift) => {
      const total = code.variable("0");
      code.loop(count, (t) => code.set(total, `${total} + Math.exp(${scores.at(code, [...row, t])} - ${shift})`));
      return total;
    },
  );
}

/** L = µ + ln Σ e^{t − µ}, −∞ where nothing was added up. */
function logSumExp(b: Builder, [shift, total]: readonly [Formula, Formula]): Formula {
  const apply = (code: Code, largest: string, sum: string): string => {
    const empty = code.name(`${sum} === 0 ? 1 : 0`);
    const log = elementwise.log.apply(code, code.name(`${empty} === 1 ? 1 : ${sum}`));
    return `(${empty} === 1 ? ${code.literal(-Infinity)} : ${largest} + ${log})`;
  };
  return map(b, shift, [shift, total], { cost: 12, apply });
}

/** Σ_t pairs[i, t] x_j: what queries get of keys. */
function toQueries(inputs: Inputs, numbers: Formula, x: Formula, { pairs, scale }: Sum): Formula {
  const shape = [...numbers.shape.slice(0, -1), x.shape[x.shape.length - 1]];
  const operands = [numbers, x, ...(inputs.mask ? [inputs.mask] : [])];
  return computed({ shape, dtype: x.dtype }, operands, 2 * pairs.slots, (code, place) => {
    const [z, [i, e]] = [place.slice(0, -2), place.slice(-2)];
    const sum = code.variable("0");
    code.loop(pairs.slots, (t) => {
      const key = pairs.key(code, i, t);
      seen(code, inputs, { place, key }, () =>
        code.set(sum, `${sum} + ${numbers.at(code, [...z, i, t])} * ${x.at(code, [...z, key.j, e])}`),
      );
    });
    return scaled(code, sum, scale);
  });
}

/** Σ_i pairs[i, slot of j] x_i: what keys get of queries. */
function toKeys(numbers: Formula, x: Formula, { pairs, scale }: Sum): Formula {
  const shape = [...numbers.shape.slice(0, -1), x.shape[x.shape.length - 1]];
  return computed({ shape, dtype: x.dtype }, [numbers, x], 2 * pairs.slots, (code, place) => {
    const [z, [j, e]] = [place.slice(0, -2), place.slice(-2)];
    const sum = code.variable("0");
    code.loop(pairs.slots, (t) => {
      const { i, slot, exists } = pairs.query(code, j, t);
      const add = (): void =>
        code.set(sum, `${sum} + ${numbers.at(code, [...z, i, slot])} * ${x.at(code, [...z, i, e])}`);
      if (exists === "") add();
      else code.when(exists, add);
    });
    return scaled(code, sum, scale);
  });
}

interface Sum {
  readonly pairs: Pairs;
  readonly scale: number;
}

function scaled(code: Code, sum: string, scale: number): string {
  return scale === 1 ? sum : `(${sum} * ${code.literal(scale)})`;
}

interface Attention {
  readonly op: FusedOp;
  readonly pullback: FusedOp;
}

function attention(pairsOf: (n: number, rule: Rule) => Pairs): Attention {
  const pairsIn = (q: Formula | Var, rule: Rule): Pairs => pairsOf(q.shape[q.shape.length - 2], rule);
  const takes = (call: Call): boolean => {
    const rule = parameters<Rule>(call);
    if (rule.rate !== undefined || !("core" in call.params.callee) || !inFloat32(call)) return false;
    return pairsIn(call.ins[0] as Var, rule).slots <= longestSum;
  };
  const setUp = (b: Builder, call: Call, operands: readonly Formula[]) => {
    const rule = parameters<Rule>(call);
    const pairs = pairsIn(operands[0], rule);
    return { inputs: inputsOf(b, call, operands, pairs), pairs, scale: rule.scale };
  };
  const op: FusedOp = {
    takes,
    rule(b, equation, operands) {
      const { inputs, pairs, scale } = setUp(b, equation as Call, operands);
      const scores = b.store(ofPairs(inputs, { pairs, scale, reads: [] }, -Infinity, (_, score) => score));
      const rows = normalizers(b, scores);
      const p = map(b, scores, [scores, ...rows], {
        cost: 6,
        // Nothing is seen where the sum is 0.
        apply: (_, t, shift, total) => `(Math.exp(${t} - ${shift}) / (${total} === 0 ? 1 : ${total}))`,
      });
      const o = toQueries(inputs, b.store(p), inputs.v, { pairs, scale: 1 });
      return [o, reshaped(logSumExp(b, rows), equation.outs[1].shape)];
    },
  };
  const pullback: FusedOp = {
    takes,
    rule(b, equation, operands) {
      const call = equation as Call;
      const { inputs, pairs, scale } = setUp(b, call, operands.slice(0, -3));
      const [o, l, g] = [...operands.slice(-3, -1).map(b.plain), b.light(operands[operands.length - 1])];
      const { q, k, v, mask, bias } = inputs;
      const names = ["dq", "dk", "dv", ...(mask ? [null] : []), ...(bias ? ["dbias"] : [])];
      const { dq, dk, dv, dbias } = wanted(call, names);
      const p = b.store(
        ofPairs(inputs, { pairs, scale, reads: [l] }, 0, (code, score, place) => {
          const own = code.name(l.at(code, place.slice(0, -1)));
          return `Math.exp(${score} - (${own} === ${code.literal(-Infinity)} ? 0 : ${own}))`; // 0 in a row of −∞ alone
        }),
      );
      const pull = (): Formula =>
        computed(p, [p, g, o, v, ...(mask ? [mask] : [])], 3 * v.shape[v.shape.length - 1], (code, place) => {
          const [z, [i, t]] = [place.slice(0, -2), place.slice(-2)];
          const sum = code.variable("0");
          const key = pairs.key(code, i, t);
          seen(code, inputs, { place, key }, () =>
            code.loop(v.shape[v.shape.length - 1], (e) => {
              const [value, own] = [v.at(code, [...z, key.j, e]), o.at(code, [...z, i, e])];
              code.set(sum, `${sum} + ${g.at(code, [...z, i, e])} * (${value} - ${own})`);
            }),
          );
          return `(${p.at(code, place)} * ${sum})`;
        });
      const ds = dq || dk || dbias ? b.store(pull()) : p;
      const ofBias = ({ shape }: Var): Formula => reshaped(summedTo(b, ds, pairs.biasShape(shape)), shape);
      return [
        ...(dq ? [toQueries(inputs, ds, k, { pairs, scale })] : []),
        ...(dk ? [toKeys(ds, q, { pairs, scale })] : []),
        ...(dv ? [toKeys(p, g, { pairs, scale: 1 })] : []),
        ...(dbias ? [ofBias(dbias)] : []),
      ];
    },
  };
  return { op, pullback };
}

export const nearField: Attention = attention(inBand);

export const fullAttention: Attention = attention(allPairs);
