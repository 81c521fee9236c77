import type { DType } from "@fmmformer/autodiff";
import { type Builder, together } from "./builder.ts";
import { type Code, plus, times } from "./code.ts";
import { computed, type Formula, filled, reshaped } from "./formula.ts";

/** How many terms a sum in float32 takes at once: sums of sums lose fewer digits. */
export const block = 256;

/** Sums of more are cut into blocks. */
export const longestSum: number = 4 * block;

/**
 * Add up so many terms for each element of y, long sums in blocks.
 *
 * @param add - writes the statement that adds term k, an index as text, to the variable `total`
 */
export function summed(
  b: Builder,
  { shape, dtype }: { readonly shape: readonly number[]; readonly dtype: DType },
  count: number,
  { reads, cost }: { readonly reads: readonly Formula[]; readonly cost: number },
  add: (code: Code, place: readonly string[], k: string, total: string) => void,
): Formula {
  if (count === 0) return filled(0, { shape, dtype });
  const size = count > longestSum ? block : count;
  const chunks = Math.ceil(count / size);
  const sums = computed({ shape: [...shape, chunks], dtype }, reads, cost * size, (code, place) => {
    const own = place.slice(0, -1);
    const total = code.variable("0");
    code.loop(size, (t) => {
      const k = chunks === 1 ? t : code.name(plus(times(place[shape.length], size), t));
      const one = (): void => add(code, own, k, total);
      if (count % size === 0) one();
      else code.when(`${k} < ${count}`, one);
    });
    return total;
  });
  if (chunks > 1) return reduced(b, "sum", b.store(sums), [shape.length]);
  return { ...sums, shape, at: (code, place) => sums.at(code, [...place, "0"]) };
}

/** Add up, or take the largest, over axes. */
export function reduced(b: Builder, op: "sum" | "max", given: Formula, axes: readonly number[]): Formula {
  if (axes.every((axis) => given.shape[axis] === 1)) {
    return reshaped(
      given,
      given.shape.filter((_, axis) => !axes.includes(axis)),
    );
  }
  const [x] = together(b, [b.straight(given)]);
  const kept = x.shape.flatMap((_, axis) => (axes.includes(axis) ? [] : [axis]));
  const shape = kept.map((axis) => x.shape[axis]);
  const sizes = axes.map((axis) => x.shape[axis]);
  const count = sizes.reduce((n, m) => n * m, 1);
  const most = sizes.indexOf(Math.max(...sizes));
  const n = sizes[most];
  /** Sums, or the largest, of so many elements of each axis: of the longest from `first` on, as far as there are any. */
  const part = (code: Code, place: readonly string[], counts: readonly number[], first: string): string => {
    const at = (inner: readonly string[]): string =>
      x.at(
        code,
        x.shape.map((_, axis) => (axes.includes(axis) ? inner[axes.indexOf(axis)] : place[kept.indexOf(axis)])),
      );
    const total = code.variable("0");
    if (op === "max") code.set(total, at(sizes.map((_, i) => (i === most ? first : "0"))));
    nest(code, counts, (inner) => {
      const j = first === "0" ? inner[most] : code.name(`${first} + ${inner[most]}`);
      const take = (): void => {
        const term = at(inner.map((index, i) => (i === most ? j : index)));
        code.set(total, op === "sum" ? `${total} + ${term}` : `Math.max(${total}, ${term})`);
      };
      if (n % counts[most] === 0) take();
      else code.when(`${j} < ${n}`, take);
    });
    return total;
  };
  if (count <= block || n <= 3) {
    return computed({ shape, dtype: x.dtype }, [x], (x.cost + 1) * count, (code, place) =>
      part(code, place, sizes, "0"),
    );
  }
  const chunk = Math.max(2, Math.min(Math.ceil(Math.sqrt(n)), n - 1));
  const parts = { shape: [...shape, Math.ceil(n / chunk)], dtype: x.dtype };
  const counts = sizes.map((size, i) => (i === most ? chunk : size));
  const partial = computed(parts, [x], x.cost * chunk, (code, place) =>
    part(code, place, counts, code.name(`${place[shape.length]} * ${chunk}`)),
  );
  return reduced(b, op, b.store(partial), [shape.length]);
}

/** Loops within loops. */
export function nest(code: Code, counts: readonly number[], body: (places: readonly string[]) => void): void {
  const visit = (places: readonly string[]): void => {
    const n = counts[places.length];
    if (n === undefined) body(places);
    else if (n === 1) visit([...places, "0"]);
    else code.loop(n, (index) => visit([...places, index]));
  };
  visit([]);
}
