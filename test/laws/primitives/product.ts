import { matmul, type Tensor, triangularSolve, zeros } from "@fmmformer/autodiff";
import { distinctSizes, tensors } from "@fmmformer/kernels/laws";
import fc from "fast-check";
import { elementsOf, filled, range, stretched, total } from "../elements.ts";
import { type Entry, type Use, useOf } from "../entry.ts";

const sizes = distinctSizes(["b", "c", "n", "k", "m"]);

/** Matrix products with leading axes that broadcast. */
const products = sizes.chain(({ b, c, n, k, m }) =>
  fc
    .constantFrom<readonly [readonly number[], readonly number[], readonly number[]]>(
      [[], [], []],
      [[b], [], [b]],
      [[], [b], [b]],
      [[b], [b], [b]],
      [[b, 1], [c], [b, c]],
      [
        [b, c],
        [b, c],
        [b, c],
      ],
    )
    .chain(([left, right, lead]) =>
      useOf([tensors([...left, n, k]), tensors([...right, k, m])], {
        op: matmul as Use["op"],
        shape: [...lead, n, m],
        element:
          (a, z) =>
          (...index) => {
            const [outer, [i, j]] = [index.slice(0, -2), index.slice(-2)];
            return total(k, (p) => stretched(a)(...outer, i, p) * stretched(z)(...outer, p, j));
          },
      }),
    ),
);

/** Products with vectors, whose axis is dropped. */
const vectors = sizes.chain(({ b, k, m }) => {
  const use = (
    left: readonly number[],
    right: readonly number[],
    shape: readonly number[],
    element: Use["element"],
  ): fc.Arbitrary<Use> => useOf([tensors(left), tensors(right)], { op: matmul as Use["op"], shape, element });
  return fc.oneof(
    use([k], [k], [], (a, z) => () => total(k, (p) => elementsOf(a)(p) * elementsOf(z)(p))),
    use([k], [b, k, m], [b, m], (a, z) => (i, j) => total(k, (p) => elementsOf(a)(p) * elementsOf(z)(i, p, j))),
    use([b, m, k], [k], [b, m], (a, z) => (i, j) => total(k, (p) => elementsOf(a)(i, j, p) * elementsOf(z)(p))),
  );
});

/** Square matrices with a diagonal away from 0. */
function solvable(lead: readonly number[], n: number): fc.Arbitrary<Tensor> {
  return fc
    .tuple(tensors([...lead, n, n]), filled([...lead, n], fc.constantFrom(-2, -1.5, 1.2, 2.1)))
    .map(([a, diagonal]) => {
      diagonal.data.forEach((value: number, at: number) => {
        a.data[Math.floor(at / n) * n * n + (at % n) * (n + 1)] = value;
      });
      return a;
    });
}

const solves = fc
  .tuple(sizes, fc.record({ lower: fc.boolean(), transposeA: fc.boolean(), unitDiagonal: fc.boolean() }))
  .chain(([{ b, n, m }, options]) =>
    fc
      .constantFrom<readonly [readonly number[], readonly number[]]>([[], []], [[b], []], [[], [b]], [[b], [b]])
      .chain(([left, right]) => {
        const lead = left.length > right.length ? left : right;
        return useOf([solvable(left, n), tensors([...right, n, m])], {
          op: (a, z) => triangularSolve(a, z, options),
          shape: [...lead, n, m],
          element:
            (a, z) =>
            (...index) => {
              const [outer, [row, column]] = [index.slice(0, -2), index.slice(-2)];
              const read = (i: number, j: number): number =>
                options.unitDiagonal && i === j
                  ? 1
                  : (options.lower ? i >= j : i <= j)
                    ? stretched(a)(...outer, i, j)
                    : 0;
              const matrix = range(n).map((i) => range(n).map((j) => (options.transposeA ? read(j, i) : read(i, j))));
              return solve(
                matrix,
                range(n).map((i) => stretched(z)(...outer, i, column)),
              )[row];
            },
        });
      }),
  );

/** Gauß and Jordan, for any matrix. */
function solve(matrix: number[][], right: number[]): number[] {
  const rows = matrix.map((row, i) => [...row, right[i]]);
  rows.forEach((_, at) => {
    const pivot = range(rows.length)
      .filter((i) => i >= at)
      .sort((i, j) => Math.abs(rows[j][at]) - Math.abs(rows[i][at]))[0];
    [rows[at], rows[pivot]] = [rows[pivot], rows[at]];
    rows[at] = rows[at].map((v) => v / rows[at][at]);
    rows.forEach((row, i) => {
      if (i !== at) rows[i] = row.map((v, j) => v - row[at] * rows[at][j]);
    });
  });
  return rows.map((row) => row[row.length - 1]);
}

export const productTable: readonly Entry[] = [
  {
    primitive: "matmul",
    uses: fc.oneof({ weight: 2, arbitrary: products }, { weight: 1, arbitrary: vectors }),
    dtypes: ["float32", "int32"],
    refuses: [
      [() => matmul(zeros([3, 8]), zeros([7, 4])), "matmul: expected b (k=8, m) for a (3, 8), got (7, 4)"],
      [() => matmul(zeros([8]), zeros([7])), "matmul: expected b (k=8,) for a (8,), got (7,)"],
      [
        () => matmul(zeros([2, 3, 8]), zeros([4, 8, 3])),
        "matmul: expected shapes that broadcast, got (2,) and (4,); axes aligned at the right must be equal or 1, and 2 ≠ 4",
      ],
      [() => matmul(zeros([2, 3]), 2), "matmul: expected matrices, got (2, 3) and (); use mul for scalars"],
    ],
  },
  {
    primitive: "triangularSolve",
    uses: solves,
    refuses: [
      [() => triangularSolve(zeros([3, 4]), zeros([3, 1])), "triangularSolve: expected square matrices a, got (3, 4)"],
      [
        () => triangularSolve(zeros([3, 3]), zeros([4, 1])),
        "triangularSolve: expected b (…, n=3, m) for a (3, 3), got (4, 1)",
      ],
      [
        () => triangularSolve(zeros([3, 3]), zeros([3])),
        "triangularSolve: expected b (…, n, m), got (3,); add an axis",
      ],
      [() => triangularSolve(zeros([3]), zeros([3, 1])), "triangularSolve: expected square matrices a, got (3,)"],
    ],
  },
];
