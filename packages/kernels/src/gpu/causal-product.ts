import type { Var } from "@fmmformer/autodiff/extend";
import type { Builder } from "./builder.ts";
import { plus, times } from "./code.ts";
import { computed, type Formula, reshaped, window } from "./formula.ts";

/**
 * o_i = S₀ᵀ q_i + Σ_{j ≤ i} (q_i · k_j) v_j, in chunks: the states that chunks begin with come from their own sums and those before; a
 * query then reads the state that its chunk begins with and its neighbours in the chunk.
 */
export function causalProduct(
  b: Builder,
  [o, last]: readonly Pick<Var, "shape" | "dtype">[],
  operands: readonly Formula[],
  reverse: boolean,
): readonly [o: Formula, last: Formula] {
  const [q, k, v, state] = operands.map(b.light);
  const lead = o.shape.slice(0, -2);
  const [n, m] = o.shape.slice(-2);
  const f = q.shape[q.shape.length - 1];
  const { dtype } = o;
  const size = Math.max(1, Math.min(64, Math.ceil(Math.sqrt(n))));
  const chunks = Math.ceil(n / size);
  const token = (t: string): string => (reverse ? `(${n - 1} - ${t})` : t); // the t-th in the order of time
  const z = (place: readonly string[]): readonly string[] => place.slice(0, lead.length);
  const sums = b.store(
    computed({ shape: [...lead, chunks, f, m], dtype }, [k, v], 2 * size, (code, place) => {
      const [c, a, e] = place.slice(-3);
      const total = code.variable("0");
      code.loop(size, (s) => {
        const t = code.name(plus(times(c, size), s));
        code.when(`${t} < ${n}`, () => {
          const j = code.name(token(t));
          code.set(total, `${total} + ${k.at(code, [...z(place), j, a])} * ${v.at(code, [...z(place), j, e])}`);
        });
      });
      return total;
    }),
  );
  /** The state before a chunk; behind the last one, the final state. */
  const begun = b.store(
    computed({ shape: [...lead, chunks + 1, f, m], dtype }, [sums, state], chunks, (code, place) => {
      const [c, a, e] = place.slice(-3);
      const total = code.variable(state.at(code, [...z(place), a, e]));
      code.loop(chunks, (before) =>
        code.when(`${before} < ${c}`, () =>
          code.set(total, `${total} + ${sums.at(code, [...z(place), before, a, e])}`),
        ),
      );
      return total;
    }),
  );
  const scores = b.store(
    computed({ shape: [...lead, n, size], dtype }, [q, k], 2 * f, (code, place) => {
      const [t, s] = place.slice(-2);
      const [c, own] = code.divide(t, size, n);
      const total = code.variable("0");
      code.when(`${s} <= ${own}`, () => {
        const [i, j] = [code.name(token(t)), code.name(token(plus(times(c, size), s)))];
        code.loop(f, (a) =>
          code.set(total, `${total} + ${q.at(code, [...z(place), i, a])} * ${k.at(code, [...z(place), j, a])}`),
        );
      });
      return total;
    }),
  );
  const result = computed(o, [q, v, begun, scores], 2 * (f + size), (code, place) => {
    const [i, e] = place.slice(-2);
    const t = code.name(token(i));
    const [c, own] = code.divide(t, size, n);
    const total = code.variable("0");
    code.loop(f, (a) =>
      code.set(total, `${total} + ${q.at(code, [...z(place), i, a])} * ${begun.at(code, [...z(place), c, a, e])}`),
    );
    code.loop(size, (s) =>
      code.when(`${s} <= ${own}`, () => {
        const j = code.name(token(code.name(plus(times(c, size), s))));
        code.set(total, `${total} + ${scores.at(code, [...z(place), t, s])} * ${v.at(code, [...z(place), j, e])}`);
      }),
    );
    return total;
  });
  const starts = begun.shape.map((_, axis) => (axis === lead.length ? chunks : 0));
  const end = window(
    begun,
    [...lead, 1, f, m],
    starts,
    starts.map(() => 1),
  );
  return [result, reshaped(end, last.shape)];
}
