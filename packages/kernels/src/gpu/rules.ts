import { type Equation, sizeOf, type Var } from "@fmmformer/autodiff/extend";
import { type Builder, map, together } from "./builder.ts";
import { causalProduct } from "./causal-product.ts";
import { type Code, plus, times, unravel } from "./code.ts";
import { elementwise, modOfIntegers } from "./elementwise.ts";
import { broadcast, chosen, computed, type Formula, reshaped, transposed, window } from "./formula.ts";
import { matmul } from "./matmul.ts";
import { reduced, summed } from "./sums.ts";
import { solveTriangular } from "./triangular-solve.ts";

/** The results of an equation as formulas of its operands. */
export type Rule = (b: Builder, equation: Equation, operands: readonly Formula[]) => readonly Formula[];

/** A rule of one operand that only moves elements. */
const moving =
  <P>(move: (x: Formula, y: Var, params: P) => Formula): Rule =>
  (_, { outs: [y], params }, [x]) => [{ ...move(x, y, params as P), dtype: y.dtype }];

export const rules: Readonly<Record<string, Rule>> = {
  ...Object.fromEntries(
    Object.entries(elementwise).map(([name, rule]): [string, Rule] => [
      name,
      (b, { outs: [y] }, operands) => [map(b, y, operands, rule)],
    ]),
  ),
  mod: (b, { outs: [y] }, operands) => [map(b, y, operands, y.dtype === "float32" ? elementwise.mod : modOfIntegers)],
  cast(b, { ins: [from], outs: [y] }, [x]) {
    if (y.dtype === "bool" && from.dtype !== "bool")
      return [map(b, y, [x], { cost: 1, apply: (_, v) => `(${v} !== 0 ? 1 : 0)` })];
    if (y.dtype === "int32" && from.dtype === "float32") {
      const towardsZero = (code: Code, v: string): string => {
        const value = code.name(v);
        return `(${value} < 0 ? -Math.floor(-${value}) : Math.floor(${value}))`;
      };
      return [map(b, y, [x], { cost: 1, apply: towardsZero })];
    }
    return [{ ...x, dtype: y.dtype }];
  },
  stopGradient: moving((x) => x),
  reshape: moving((x, y) => reshaped(x, y.shape)),
  transpose: moving<{ axes: readonly number[] }>((x, _, { axes }) => transposed(x, axes)),
  broadcast(b, { outs: [y] }, [x]) {
    return [broadcast(sizeOf(y.shape) > sizeOf(x.shape) ? b.straight(x) : x, y.shape)];
  },
  slice: moving<{ starts: readonly number[]; strides: readonly number[] }>((x, y, { starts, strides }) =>
    window(x, y.shape, starts, strides),
  ),
  flip: moving<{ axis: number }>((x, y, { axis }) => {
    const mirrored = (here: number, there: number): number[] => y.shape.map((_, a) => (a === axis ? here : there));
    return window(x, y.shape, mirrored(y.shape[axis] - 1, 0), mirrored(-1, 1));
  }),
  pad(b, { outs: [y], params }, [x]) {
    const { low, interior, value } = params as { low: readonly number[]; interior: readonly number[]; value: number };
    const of = b.straight(x);
    const when = (place: readonly string[], code: Code) => {
      const conditions: string[] = [];
      const inside = place.map((p, axis) => {
        const [n, gap] = [of.shape[axis], interior[axis] + 1];
        if (n === y.shape[axis]) return p;
        const from = code.name(low[axis] === 0 ? p : `${p} - ${low[axis]}`);
        conditions.push(`${from} >= 0`, `${from} <= ${(n - 1) * gap}`);
        if (gap === 1) return from;
        const at = code.name(`Math.floor((${from} + 0.5) / ${gap})`);
        conditions.push(`${at} * ${gap} === ${from}`);
        return at;
      });
      return { condition: conditions.join(" && "), place: () => inside };
    };
    return [chosen(y.shape, [{ of, when }], value)];
  },
  concat(b, { outs: [y], params }, operands) {
    const { axis } = params as { axis: number };
    return [concat(b, y, axis, operands.filter((x) => x.shape[axis] > 0).map(b.straight))];
  },
  sum: (b, { params }, [x]) => [reduced(b, "sum", x, (params as { axes: readonly number[] }).axes)],
  max: (b, { params }, [x]) => [reduced(b, "max", x, (params as { axes: readonly number[] }).axes)],
  argmax(b, { outs: [y], params }, [given]) {
    const { axis } = params as { axis: number };
    const [x] = [b.straight(given)];
    const n = x.shape[axis];
    return [
      computed(y, [x], (x.cost + 1) * n, (code, place) => {
        const at = (j: string): string[] => [...place.slice(0, axis), j, ...place.slice(axis)];
        const best = code.variable(x.at(code, at("0")));
        const where = code.variable("0");
        code.loop(n, (j) => {
          const value = code.name(x.at(code, at(j)));
          // Larger or NaN, unless one that is NaN was met before.
          code.when(`${best} === ${best} && !(${value} <= ${best})`, () => {
            code.set(best, value);
            code.set(where, j);
          });
        });
        return where;
      }),
    ];
  },
  argsort(b, { outs: [y], params }, [given]) {
    const { axis } = params as { axis: number };
    const x = b.light(given);
    const n = x.shape[axis];
    const along = (place: readonly string[], j: string): string[] => place.map((p, a) => (a === axis ? j : p));
    // How many come before an element is its place; the order is the other way round.
    const rank = b.store(
      computed(y, [x], 2 * n, (code, place) => {
        const own = code.name(x.at(code, place));
        const count = code.variable("0");
        code.loop(n, (j) => {
          const other = code.name(x.at(code, along(place, j)));
          const [add, earlier] = [() => code.set(count, `${count} + 1`), `${j} < ${place[axis]}`];
          code.when(`${other} < ${own} || (${other} === ${own} && ${earlier})`, add);
          code.when(`!(${own} === ${own}) && (${other} === ${other} || ${earlier})`, add); // NaN comes last
        });
        return count;
      }),
    );
    return [
      computed(y, [rank], n, (code, place) => {
        const found = code.variable("0");
        code.loop(n, (j) =>
          code.when(`${rank.at(code, along(place, j))} === ${place[axis]}`, () => code.set(found, j)),
        );
        return found;
      }),
    ];
  },
  cumsum(b, { outs: [y], params }, [given]) {
    const { axis, reverse } = params as { axis: number; reverse: boolean };
    const x = b.light(given);
    const n = y.shape[axis];
    const along = (place: readonly string[], j: string): string[] => place.map((p, a) => (a === axis ? j : p));
    const from = (j: string): string => (reverse ? `(${n - 1} - ${j})` : j); // the j-th to be added
    const size = Math.ceil(Math.sqrt(n));
    const blocks = b.store(
      computed({ shape: y.shape.map((m, a) => (a === axis ? size : m)), dtype: y.dtype }, [x], size, (code, place) => {
        const total = code.variable("0");
        code.loop(size, (t) => {
          const j = code.name(plus(times(place[axis], size), t));
          code.when(`${j} < ${n}`, () => code.set(total, `${total} + ${x.at(code, along(place, from(j)))}`));
        });
        return total;
      }),
    );
    return [
      computed(y, [x, blocks], 2 * size, (code, place) => {
        const own = code.name(from(place[axis]));
        const [quotient, rest] = code.divide(own, size, n);
        const total = code.variable("0");
        const first = code.name(`${times(quotient, size)}`);
        code.loop(size, (c) => {
          code.when(`${c} < ${quotient}`, () => code.set(total, `${total} + ${blocks.at(code, along(place, c))}`));
        });
        code.loop(size, (t) => {
          const term = (): string => x.at(code, along(place, from(code.name(`${first} + ${t}`))));
          code.when(`${t} <= ${rest}`, () => code.set(total, `${total} + ${term()}`));
        });
        return total;
      }),
    ];
  },
  matmul: (b, { outs: [y] }, [x, w]) => [matmul(b, y, x, w)],
  triangularSolve: (b, { outs: [y], params }, [a, x]) => [
    solveTriangular(b, y, [a, x], params as { lower: boolean; transpose: boolean; unit: boolean }),
  ],
  gather: (b, { outs: [y] }, [x, i]) => [rowsOf(b, y, x, i)],
  scatterAdd(b, { outs: [y] }, [x, i, updates]) {
    const [where, u] = [b.light(i), b.light(updates)];
    const reads = [where, u];
    const added = summed(b, y, sizeOf(where.shape), { reads, cost: 2 }, (code, [row, ...rest], k, total) => {
      const at = unravel(code, k, where.shape);
      const take = (): void => code.set(total, `${total} + ${u.at(code, [...at, ...rest])}`);
      code.when(`${where.at(code, at)} === ${row}`, take);
    });
    return [map(b, y, [x, added], elementwise.add)];
  },
  bandDot(b, { outs: [y], params }, [q, k]) {
    const { left } = params as { left: number };
    const [a, c] = [b.light(q), b.light(k)];
    const [n, d] = a.shape.slice(-2);
    return [
      computed(y, [a, c], 2 * d, (code, place) => {
        const [lead, i, t] = [place.slice(0, -2), ...place.slice(-2)] as [string[], string, string];
        const j = code.name(`${i} - ${left} + ${t}`);
        const dot = code.variable("0");
        code.when(`${j} >= 0 && ${j} < ${n}`, () =>
          code.loop(d, (e) =>
            code.set(dot, `${dot} + ${a.at(code, [...lead, i, e])} * ${c.at(code, [...lead, j, e])}`),
          ),
        );
        return dot;
      }),
    ];
  },
  bandMatmul(b, { outs: [y], params }, [band, v]) {
    const { left } = params as { left: number };
    const [a, c] = [b.light(band), b.light(v)];
    const [n, slots] = a.shape.slice(-2);
    return [
      computed(y, [a, c], 2 * slots, (code, place) => {
        const [lead, i, e] = [place.slice(0, -2), ...place.slice(-2)] as [string[], string, string];
        const total = code.variable("0");
        code.loop(slots, (t) => {
          const j = code.name(`${i} - ${left} + ${t}`);
          code.when(`${j} >= 0 && ${j} < ${n}`, () =>
            code.set(total, `${total} + ${a.at(code, [...lead, i, t])} * ${c.at(code, [...lead, j, e])}`),
          );
        });
        return total;
      }),
    ];
  },
  bandTranspose(b, { outs: [y], params }, [band]) {
    const { left, right } = params as { left: number; right: number };
    const of = b.light(band);
    const n = y.shape[y.shape.length - 2];
    const when = (place: readonly string[], code: Code) => {
      const [j, t] = place.slice(-2);
      const i = code.name(`${j} - ${right} + ${t}`);
      const inside = (): string[] => [...place.slice(0, -2), i, `(${left + right} - ${t})`];
      return { condition: `${i} >= 0 && ${i} < ${n}`, place: inside };
    };
    return [chosen(y.shape, [{ of, when }], 0)];
  },
  causalProduct(b, { outs: [o, last], params }, operands) {
    const { reverse } = params as { reverse: boolean };
    return causalProduct(b, [o, last], operands, reverse);
  },
};

/** x[indices]: rows that do not exist are NaN. */
export function rowsOf(b: Builder, y: Var, x: Formula, indices: Formula): Formula {
  const [table, list] = together(b, [b.light(x), b.straight(indices)]);
  const when = (place: readonly string[], code: Code) => {
    const row = code.name(list.at(code, place.slice(0, list.shape.length)));
    const inside = (): string[] => [row, ...place.slice(list.shape.length)];
    return { condition: `${row} >= 0 && ${row} < ${x.shape[0]}`, place: inside };
  };
  const found = chosen(y.shape, [{ of: table, when }], Number.NaN);
  return { ...found, reads: new Set([...table.reads, ...list.reads]), cost: 1 + list.cost, length: 1 + list.length };
}

/** Operands side by side, so many at once as a kernel can read. */
function concat(
  b: Builder,
  y: { shape: readonly number[]; dtype: Var["dtype"] },
  axis: number,
  parts: readonly Formula[],
): Formula {
  if (parts.length === 1) return parts[0];
  const most = 6;
  if (parts.length > most) {
    const size = most ** Math.floor(Math.log(parts.length - 1) / Math.log(most) + 1e-9);
    const groups: Formula[] = [];
    for (let at = 0; at < parts.length; at += size) {
      const some = parts.slice(at, at + size);
      const width = some.reduce((n, x) => n + x.shape[axis], 0);
      const shape = y.shape.map((n, a) => (a === axis ? width : n));
      groups.push(b.store(concat(b, { shape, dtype: y.dtype }, axis, some)));
    }
    return concat(b, y, axis, groups);
  }
  let start = 0;
  const ready = together(b, parts).map((of) => {
    const from = start;
    start += of.shape[axis];
    const end = start;
    const when = (place: readonly string[]) => ({
      condition: `${place[axis]} >= ${from} && ${place[axis]} < ${end}`,
      place: () => place.map((p, a) => (a === axis && from > 0 ? `(${p} - ${from})` : p)),
    });
    return { of, when };
  });
  return { ...chosen(y.shape, ready, 0), dtype: y.dtype };
}
