import { argmax, argsort, cumsum, max, sum, type Tensor, zeros } from "@fmmformer/autodiff";
import { distinctSizes, tensors } from "@fmmformer/kernels/laws";
import fc from "fast-check";
import { type Elements, filled, indicesOf, range, total } from "../elements.ts";
import { type Entry, onOne, type Use } from "../entry.ts";

const sizes = distinctSizes(["b", "n", "m"]);
const every = ["float32", "int32"] as const;

/** Numbers no two of which are near: a reduction that chooses has no kink there. */
function apart(shape: readonly number[]): fc.Arbitrary<Tensor> {
  const size = shape.reduce((a, b) => a * b, 1);
  const order = fc.shuffledSubarray(range(size), { minLength: size });
  return order.chain((values) =>
    filled(shape, fc.constant(0)).map((x) => {
      values.forEach((v, i) => {
        x.data[i] = (v - size / 2) / 5;
      });
      return x;
    }),
  );
}

/** Few numbers, so that equals meet. */
const ties = (shape: readonly number[]): fc.Arbitrary<Tensor> => filled(shape, fc.constantFrom(-1, 0, 0.5));

/** The elements of x that a reduction over axes joins to the one at an index of its result. */
function joined(
  x: Elements,
  shape: readonly number[],
  axes: readonly number[],
): (index: readonly number[]) => number[] {
  const inner = indicesOf(axes.map((axis) => shape[axis]));
  return (index) =>
    inner.map((reduced) => {
      const kept = [...index];
      return x(
        ...shape.map((_, axis) => (axes.includes(axis) ? reduced[axes.indexOf(axis)] : (kept.shift() as number))),
      );
    });
}

function reduction(
  op: (x: Tensor, options: { readonly axis?: number | readonly number[]; readonly keepDims?: boolean }) => Tensor,
  draw: (shape: readonly number[]) => fc.Arbitrary<Tensor>,
  f: (values: readonly number[]) => number,
): fc.Arbitrary<Use> {
  return sizes.chain(({ b, n, m }) => {
    const shape = [b, n, m];
    return fc.constantFrom<number[][]>([0], [1], [2], [0, 1], [0, 2], [1, 2], [0, 1, 2]).chain((axes) =>
      fc.oneof(
        onOne(
          draw(shape),
          shape.filter((_, axis) => !axes.includes(axis)),
          (x) => op(x, axes.length === 3 ? {} : { axis: axes.map((axis) => axis - 3).reverse() }),
          (x) =>
            (...index) =>
              f(joined(x, shape, axes)(index)),
        ),
        onOne(
          draw(shape),
          shape.map((size, axis) => (axes.includes(axis) ? 1 : size)),
          (x) => op(x, { axis: axes, keepDims: true }),
          (x) =>
            (...index) =>
              f(joined(x, shape, axes)(index.filter((_, axis) => !axes.includes(axis)))),
        ),
      ),
    );
  });
}

/** A use on a matrix, along either axis: `f` has the row or column and a place in it. */
function alongAxis(
  op: (x: Tensor, axis: number) => Tensor,
  draw: (shape: readonly number[]) => fc.Arbitrary<Tensor>,
  f: (values: readonly number[], at: number) => number,
): fc.Arbitrary<Use> {
  return sizes.chain(({ n, m }) =>
    fc.oneof(
      onOne(
        draw([n, m]),
        [n, m],
        (x) => op(x, -1),
        (x) => (i, j) =>
          f(
            range(m).map((k) => x(i, k)),
            j,
          ),
      ),
      onOne(
        draw([n, m]),
        [n, m],
        (x) => op(x, 0),
        (x) => (i, j) =>
          f(
            range(n).map((k) => x(k, j)),
            i,
          ),
      ),
    ),
  );
}

const sumOf = (values: readonly number[]): number => total(values.length, (i) => values[i]);

export const reductionTable: readonly Entry[] = [
  {
    primitive: "sum",
    uses: reduction(sum, tensors, sumOf),
    kind: "linear",
    dtypes: every,
    refuses: [
      [() => sum(zeros([2, 3]), { axis: 2 }), "sum: expected an axis from -2 to 1, got 2"],
      [() => sum(zeros([2, 3]), { axis: [0, -2] }), "sum: expected distinct axes, got 0, 0"],
    ],
  },
  {
    primitive: "max",
    uses: reduction(max, apart, (values) => [...values].sort((a, b) => b - a)[0]),
    dtypes: every,
    refuses: [
      [() => max(zeros([2, 0])), "max: expected at least one element along axes 0, 1, got (2, 0)"],
      [() => max(zeros([2, 3]), { axis: -3 }), "max: expected an axis from -2 to 1, got -3"],
    ],
  },
  {
    primitive: "argmax",
    uses: sizes.chain(({ b, n, m }) =>
      fc.oneof(
        onOne(
          ties([n, m]),
          [n],
          (x) => argmax(x),
          (x) => (i) => {
            const row = range(m).map((j) => x(i, j));
            return row.indexOf([...row].sort((a, b) => b - a)[0]);
          },
        ),
        onOne(
          ties([b, n, m]),
          [b, m],
          (x) => argmax(x, { axis: 1 }),
          (x) => (i, k) => {
            const column = range(n).map((j) => x(i, j, k));
            return column.indexOf([...column].sort((a, b) => b - a)[0]);
          },
        ),
      ),
    ),
    kind: "constant",
    result: "int32",
    dtypes: every,
    refuses: [
      [() => argmax(zeros([2, 0])), "argmax: expected at least one element along axis 1, got (2, 0)"],
      [() => argmax(zeros([])), "argmax: expected an axis from 0 to -1, got -1"],
    ],
  },
  {
    primitive: "argsort",
    uses: alongAxis(
      (x, axis) => argsort(x, { axis }),
      ties,
      (values, at) => {
        const rankOf = (i: number): number =>
          values.filter((v, j) => v < values[i] || (v === values[i] && j < i)).length;
        return range(values.length).findIndex((i) => rankOf(i) === at);
      },
    ),
    kind: "constant",
    result: "int32",
    dtypes: every,
    refuses: [[() => argsort(zeros([3]), { axis: 1 }), "argsort: expected an axis from -1 to 0, got 1"]],
  },
  {
    primitive: "cumsum",
    uses: fc.oneof(
      alongAxis(
        (x, axis) => cumsum(x, { axis }),
        tensors,
        (values, at) => sumOf(values.slice(0, at + 1)),
      ),
      alongAxis(
        (x, axis) => cumsum(x, { axis, reverse: true }),
        tensors,
        (values, at) => sumOf(values.slice(at)),
      ),
    ),
    kind: "linear",
    dtypes: every,
    refuses: [[() => cumsum(zeros([3]), { axis: 1 }), "cumsum: expected an axis from -1 to 0, got 1"]],
  },
];
