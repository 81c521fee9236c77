import type { DType } from "@fmmformer/autodiff";
import { sizeOf } from "@fmmformer/autodiff/extend";
import { type Code, type HostNumber, plus, type Stored, times, unravel } from "./code.ts";

// An array as a formula: the text of its element at a place. What moves elements (transposing, cutting, padding, reading rows) changes the
// place and stores nothing; what computes elements adds to the text. A formula becomes a kernel when it must be stored.

export interface Formula {
  readonly shape: readonly number[];
  readonly dtype: DType;
  /** The arrays that an element may be read from */
  readonly reads: ReadonlySet<Stored>;
  /** About how many operations an element takes; 0 where it is only read */
  readonly cost: number;
  /** About how many of them the text has; fewer where there are loops */
  readonly length: number;
  /** Whether an element takes a loop */
  readonly loops: boolean;
  /** Set where this is one whole array in order */
  readonly stored?: Stored;
  /** Set where all elements are one number */
  readonly fill?: number;
  at(code: Code, place: readonly string[]): string;
}

type Like = Pick<Formula, "shape" | "dtype">;

export function read(stored: Stored, { shape, dtype }: Like): Formula {
  return {
    ...{ shape, dtype, reads: new Set([stored]), cost: 0, length: 0, loops: false, stored },
    at: (code, place) => code.element(stored, place, shape),
  };
}

export function filled(fill: number, { shape, dtype }: Like): Formula {
  return {
    ...{ shape, dtype, reads: new Set(), cost: 0, length: 0, loops: false, fill },
    at: (code) => code.literal(fill),
  };
}

export function hostNumber(x: HostNumber, { shape, dtype }: Like): Formula {
  return { ...{ shape, dtype, reads: new Set(), cost: 0, length: 0, loops: false }, at: (code) => code.argument(x) };
}

/** The same elements elsewhere. */
function moved(
  x: Formula,
  shape: readonly number[],
  from: (place: readonly string[], code: Code) => readonly string[],
) {
  if (x.fill !== undefined) return filled(x.fill, { shape, dtype: x.dtype });
  const { dtype, reads, cost, length, loops } = x;
  return {
    ...{ shape, dtype, reads, cost, length, loops },
    at: (code: Code, place: readonly string[]) => x.at(code, from(place, code)),
  };
}

export function transposed(x: Formula, axes: readonly number[]): Formula {
  const back = axes.map((_, axis) => axes.indexOf(axis));
  return moved(
    x,
    axes.map((axis) => x.shape[axis]),
    (place) => back.map((axis) => place[axis]),
  );
}

export function broadcast(x: Formula, shape: readonly number[]): Formula {
  const extra = shape.length - x.shape.length;
  return moved(x, shape, (place) => x.shape.map((n, axis) => (n === 1 ? "0" : place[axis + extra])));
}

/** From `starts` on, every `steps`-th element; a negative step walks back. */
export function window(
  x: Formula,
  shape: readonly number[],
  starts: readonly number[],
  steps: readonly number[],
): Formula {
  return moved(x, shape, (place) =>
    place.map((p, axis) => {
      const step = steps[axis];
      if (step < 0) return p === "0" ? String(starts[axis]) : `(${starts[axis]} - ${times(p, -step)})`;
      return plus(times(p, step), starts[axis]);
    }),
  );
}

/** The same elements under another shape. Only axes that are cut or joined take divisions. */
export function reshaped(x: Formula, shape: readonly number[]): Formula {
  if (x.stored) return read(x.stored, { shape, dtype: x.dtype });
  const groups = commonCuts(x.shape, shape);
  return moved(x, shape, (place, code) => {
    const from = new Array<string>(x.shape.length).fill("0");
    for (const { old, now } of groups) {
      const sizes = old.map((axis) => x.shape[axis]);
      const flat = code.ravel(
        now.map((axis) => place[axis]),
        now.map((axis) => shape[axis]),
      );
      const single = old.length === 1 ? [flat] : unravel(code, code.name(flat), sizes);
      for (const [k, axis] of old.entries()) from[axis] = single[k];
    }
    return from;
  });
}

/** Runs of axes of two shapes that hold the same elements; axes of size 1 left out. */
function commonCuts(a: readonly number[], b: readonly number[]): { old: number[]; now: number[] }[] {
  const [left, right] = [a, b].map((shape) => [...shape.keys()].filter((axis) => shape[axis] !== 1));
  const groups: { old: number[]; now: number[] }[] = [];
  let [i, j] = [0, 0];
  while (i < left.length || j < right.length) {
    const [old, now] = [[left[i++]], [right[j++]]];
    let [p, q] = [a[old[0]], b[now[0]]];
    while (p !== q) {
      if (p < q) {
        old.push(left[i]);
        p *= a[left[i++]];
      } else {
        now.push(right[j]);
        q *= b[right[j++]];
      }
    }
    groups.push({ old, now });
  }
  return groups;
}

/** Elements with others, or a number, around and between them: `inside` tells where a place lies in x, and under which condition. */
export function chosen(
  shape: readonly number[],
  parts: readonly { readonly of: Formula; readonly when: (place: readonly string[], code: Code) => Choice }[],
  otherwise: number,
): Formula {
  const { dtype } = parts[0].of;
  return {
    ...{ shape, dtype, reads: new Set(parts.flatMap(({ of }) => [...of.reads])) },
    cost: parts.reduce((sum, { of }) => sum + of.cost, 1),
    length: parts.reduce((sum, { of }) => sum + of.length, parts.length),
    loops: parts.some(({ of }) => of.loops),
    at(code, place) {
      const value = code.variable(code.literal(otherwise));
      for (const { of, when } of parts) {
        const { condition, place: inside } = when(place, code);
        const take = (): void => code.set(value, of.at(code, inside()));
        if (condition === "") take();
        else code.when(condition, take);
      }
      return value;
    },
  };
}

export interface Choice {
  /** Empty where it always holds */
  readonly condition: string;
  readonly place: () => readonly string[];
}

/** One formula of the elements of several, each of the shape of the result or stretched to it. */
export function mapped(
  out: Like,
  operands: readonly Formula[],
  cost: number,
  apply: (code: Code, ...values: readonly string[]) => string,
): Formula {
  const spread = operands.map((x) => broadcast(x, out.shape));
  return {
    ...{ shape: out.shape, dtype: out.dtype, reads: new Set(operands.flatMap((x) => [...x.reads])) },
    cost: operands.reduce((sum, x) => sum + x.cost, cost),
    length: operands.reduce((sum, x) => sum + x.length, cost),
    loops: operands.some((x) => x.loops),
    at: (code, place) => apply(code, ...spread.map((x) => x.at(code, place))),
  };
}

/** An element that takes a loop over stored or cheap operands. */
export function computed(
  out: Like,
  operands: readonly Formula[],
  cost: number,
  at: (code: Code, place: readonly string[]) => string,
): Formula {
  return {
    ...{ shape: out.shape, dtype: out.dtype, reads: new Set(operands.flatMap((x) => [...x.reads])) },
    length: operands.reduce((sum, x) => sum + x.length, 8),
    ...{ cost, loops: true, at },
  };
}

export function isEmpty({ shape }: { readonly shape: readonly number[] }): boolean {
  return sizeOf(shape) === 0;
}
