import type { Var } from "@fmmformer/autodiff/extend";
import { type Call, inFloat32, parameters, wanted } from "../../composed-call.ts";
import type { LowRankRule } from "../../low-rank-field.ts";
import { type Builder, map } from "../builder.ts";
import { causalProduct } from "../causal-product.ts";
import { elementwise } from "../elementwise.ts";
import { broadcast, chosen, computed, type Formula, filled, reshaped, transposed, window } from "../formula.ts";
import { matmul } from "../matmul.ts";
import { type FusedOp, summedTo } from "./fused-op.ts";

// The low-rank field: S = S_0 + Σ_j φk_j [v_j, 1]ᵀ is read by queries, x_i = Sᵀ φq_i, and t_i = x_{i,1:m} / (max(x_{i,m+1}, 0) + ε).
// The 1 behind values is never stored: it is part of the text that reads them.

/** Sizes without the batch axes; arrays are (…, h, r, n, f), (…, h, r, n, m + 1) and (…, h, r, f, m + 1). */
interface Sizes {
  readonly lead: readonly number[];
  readonly n: number;
  readonly f: number;
  readonly m: number;
}

function sizesOf(q: Formula, v: Formula): Sizes {
  const [n, f] = q.shape.slice(-2);
  return { lead: q.shape.slice(0, -2), n, f, m: v.shape[v.shape.length - 1] };
}

/** [v, 1] for each feature map, as cheap to read as v. */
function withOne(b: Builder, given: Formula, { lead, n, m }: Sizes): Formula {
  const v = b.light(given);
  const stretched = broadcast(reshaped(v, [...v.shape.slice(0, -2), 1, n, m]), [...lead, n, m]);
  const when = (place: readonly string[]) => ({
    condition: `${place[place.length - 1]} < ${m}`,
    place: () => place,
  });
  return { ...chosen([...lead, n, m + 1], [{ of: stretched, when }], 1), cost: 0 };
}

function swapped(x: Formula): Formula {
  const axes = [...x.shape.keys()];
  return transposed(x, [...axes.slice(0, -2), axes.length - 1, axes.length - 2]);
}

function product(b: Builder, x: Formula, y: Formula): Formula {
  const shape = [...x.shape.slice(0, -1), y.shape[y.shape.length - 1]];
  return matmul(b, { shape, dtype: x.dtype }, x, y);
}

function plus(b: Builder, x: Formula, y: Formula | null): Formula {
  return y && y.fill !== 0 ? map(b, x, [x, y], elementwise.add) : x;
}

/** Columns from one on. */
function columns(x: Formula, from: number, count: number): Formula {
  const starts = x.shape.map((_, axis) => (axis === x.shape.length - 1 ? from : 0));
  return window(
    x,
    [...x.shape.slice(0, -1), count],
    starts,
    starts.map(() => 1),
  );
}

const takes = (call: Call): boolean => inFloat32(call) && "core" in call.params.callee;

export const farField: FusedOp = {
  takes,
  rule(b, equation, [q, k, v, state]) {
    const { causal, divide, eps } = parameters<LowRankRule>(equation as Call);
    const sizes = sizesOf(q, v);
    const { lead, n, f, m } = sizes;
    const { dtype } = q;
    const values = withOne(b, v, sizes);
    const first = state ? broadcast(state, [...lead, f, m + 1]) : filled(0, { shape: [...lead, f, m + 1], dtype });
    let x: Formula;
    let last: Formula;
    if (causal) {
      [x, last] = causalProduct(b, [{ shape: [...lead, n, m + 1], dtype }, first], [q, k, values, first], false);
    } else {
      last = b.store(plus(b, product(b, swapped(k), values), first));
      x = product(b, q, last);
    }
    const read = b.store(x);
    const weights = columns(read, m, 1);
    const rows = columns(read, 0, m);
    const terms = divide
      ? map(b, rows, [rows, weights], {
          cost: 3,
          apply: (code, value, weight) => quotient(value, code.name(divisor(weight, eps))),
        })
      : rows;
    return [terms, last, reshaped(weights, [...lead, n])];
  },
};

function divisor(weight: string, eps: number): string {
  return `Math.max(${weight}, 0) + ${eps}`;
}

/** x / y, 0 where y is. */
function quotient(x: string, y: string): string {
  return `(${y} === 0 ? 0 : ${x} / (${y} === 0 ? 1 : ${y}))`;
}

// With h_i = [g_i, −g_i·t_i] / den_i the cotangent of the rows that were read, and R = dS + Σ_i φq_i h_iᵀ:
//
//     dq_i = S h_i,   dk_j = R [v_j, 1],   dv_j = (Rᵀ φk_j)_{1:m} added up over feature maps,   dS_0 = R

export const farFieldPullback: FusedOp = {
  takes,
  rule(b, equation, operands) {
    const call = equation as Call;
    const { causal, divide, eps } = parameters<LowRankRule>(call);
    const withState = operands.length === 9;
    const [q, k, v] = operands;
    const [terms, last, weights, g, r] = operands.slice(withState ? 4 : 3);
    const sizes = sizesOf(q, v);
    const { lead, n, f, m } = sizes;
    const values = withOne(b, v, sizes);
    const pulled = [g, terms, reshaped(weights, [...lead, n, 1])];
    const h = b.store(pulledRows(b, pulled, sizes, { divide, eps }));
    const { dq, dk, dv, dstate } = wanted(call, ["dq", "dk", "dv", "dstate"]);
    const first = withState ? operands[3] : filled(0, { shape: [...lead, f, m + 1], dtype: q.dtype });
    const pull = (causal ? pullCausal : pullAll)(b, { q, k, values, h, r, last, first }, Boolean(dk || dv || dstate));
    const ofV = (y: Var): Formula => {
      const all = columns(pull.values(), 0, m); // (…, h, r, n, m)
      return reshaped(summedTo(b, all, [...y.shape.slice(0, -2), 1, n, m]), y.shape);
    };
    return [
      ...(dq ? [pull.q()] : []),
      ...(dk ? [pull.k()] : []),
      ...(dv ? [ofV(dv)] : []),
      ...(dstate ? [pull.state()] : []),
    ];
  },
};

function pulledRows(
  b: Builder,
  operands: readonly Formula[],
  { lead, n, m }: Sizes,
  { divide, eps }: Pick<LowRankRule, "divide" | "eps">,
): Formula {
  const [g, terms, weights] = operands.map(b.light);
  const shape = [...lead, n, m + 1];
  return computed({ shape, dtype: g.dtype }, [g, terms, weights], m, (code, place) => {
    const [row, c] = [place.slice(0, -1), place[place.length - 1]];
    const value = code.variable("0");
    const set = (x: string, by: string): void => code.set(value, divide ? quotient(x, by) : x);
    const weight = divide ? weights.at(code, [...row, "0"]) : "";
    const by = divide ? code.name(divisor(weight, eps)) : "";
    code.when(`${c} < ${m}`, () => set(g.at(code, place), by));
    if (!divide) return value;
    code.when(`${c} === ${m} && ${weight} > 0`, () => {
      const sum = code.variable("0");
      const at = (x: Formula, e: string): string => x.at(code, [...row, e]);
      code.loop(m, (e) => code.set(sum, `${sum} - ${at(g, e)} * ${at(terms, e)}`));
      set(sum, by);
    });
    return value;
  });
}

interface Factors {
  readonly q: Formula;
  readonly k: Formula;
  readonly values: Formula;
  readonly h: Formula;
  /** The cotangent of the last state */
  readonly r: Formula;
  readonly last: Formula;
  /** The state before all */
  readonly first: Formula;
}

/** Each cotangent where it is wanted. */
interface Pulled {
  readonly q: () => Formula;
  readonly k: () => Formula;
  readonly values: () => Formula;
  readonly state: () => Formula;
}

function pullAll(b: Builder, { q, k, values, h, r, last }: Factors, ofKeys: boolean): Pulled {
  const ofState = ofKeys ? b.store(plus(b, product(b, swapped(q), h), r)) : r;
  return {
    q: () => product(b, h, swapped(last)),
    k: () => product(b, values, swapped(ofState)),
    values: () => product(b, k, ofState),
    state: () => ofState,
  };
}

function pullCausal(b: Builder, { q, k, values, h, r, first }: Factors, ofKeys: boolean): Pulled {
  const [ofValues, ofState] = ofKeys ? causalProduct(b, [h, first], [k, q, h, r], true) : [h, r];
  return {
    q: () => causalProduct(b, [q, swapped(first)], [h, values, k, swapped(first)], false)[0],
    k: () => causalProduct(b, [k, swapped(r)], [values, h, q, swapped(r)], true)[0],
    values: () => ofValues,
    state: () => ofState,
  };
}
