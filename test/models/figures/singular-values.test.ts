import assert from "node:assert/strict";
import { test } from "node:test";
import { numericalRank, singularValues } from "@fmmformer/models";
import fc from "fast-check";

const entries = (count: number): fc.Arbitrary<number[]> =>
  fc.array(
    fc.integer({ min: -2000, max: 2000 }).map((k) => k / 1000),
    { minLength: count, maxLength: count },
  );
const matrices = fc
  .tuple(fc.integer({ min: 1, max: 9 }), fc.integer({ min: 1, max: 9 }))
  .chain(([rows, columns]) => entries(rows * columns).map((data) => ({ rows, columns, data })));

const close = (a: number, b: number, scale: number): void =>
  assert.ok(Math.abs(a - b) <= 1e-12 * Math.max(scale, 1), `${a} ≠ ${b}`);

const sum = (values: ArrayLike<number>, power = 1): number =>
  Array.from(values).reduce((total, value) => total + value ** power, 0);

type Dense = { readonly rows: number; readonly columns: number; readonly data: number[] };

/** aᵀ b */
function product(a: Dense, b: Dense): Dense {
  const data = Array.from({ length: a.columns * b.columns }, (_, at) => {
    const [i, j] = [Math.floor(at / b.columns), at % b.columns];
    return sum(Array.from({ length: a.rows }, (_, k) => a.data[k * a.columns + i] * b.data[k * b.columns + j]));
  });
  return { rows: a.columns, columns: b.columns, data };
}

test("powers of the singular values sum to traces of powers of AᵀA", () => {
  fc.assert(
    fc.property(matrices, (a) => {
      const values = singularValues(a);
      assert.equal(values.length, Math.min(a.rows, a.columns));
      assert.deepEqual(
        [...values].sort((x, y) => y - x),
        [...values],
      );
      const square = product(a, a);
      const trace = (x: Dense): number => sum(Array.from({ length: x.rows }, (_, i) => x.data[i * x.columns + i]));
      const fourth = product(square, square);
      close(sum(values, 2), trace(square), trace(square));
      close(sum(values, 4), trace(fourth), trace(fourth));
      close(sum(values, 6), trace(product(square, fourth)), trace(square) ** 3);
      const scale = values[0] ** 8;
      close(sum(values, 8), trace(product(fourth, fourth)), scale);
    }),
  );
});

test("a matrix and its transpose have the same singular values", () => {
  fc.assert(
    fc.property(matrices, ({ rows, columns, data }) => {
      const flipped = Array.from(data, (_, at) => data[(at % rows) * columns + Math.floor(at / rows)]);
      const [a, b] = [
        singularValues({ rows, columns, data }),
        singularValues({ rows: columns, columns: rows, data: flipped }),
      ];
      for (const [i, value] of a.entries()) close(value, b[i], a[0]);
    }),
  );
});

test("a sum of r outer products has rank r at most, and that of a diagonal counts its entries", () => {
  const outer = fc
    .tuple(fc.integer({ min: 1, max: 3 }), fc.integer({ min: 4, max: 12 }), fc.integer({ min: 4, max: 12 }))
    .chain(([r, rows, columns]) =>
      fc.tuple(entries(r * rows), entries(r * columns)).map(([u, v]) => ({ r, rows, columns, u, v })),
    );
  fc.assert(
    fc.property(outer, ({ r, rows, columns, u, v }) => {
      const data = product({ rows: r, columns: rows, data: u }, { rows: r, columns, data: v }).data;
      assert.ok(numericalRank({ rows, columns, data }, 1e-6) <= r);
    }),
  );
  const diagonal = Array.from({ length: 25 }, (_, at) => (at % 6 === 0 ? [3, 0, 1e-3, -2, 1e-9][at / 6] : 0));
  const matrix = { rows: 5, columns: 5, data: diagonal };
  assert.deepEqual(
    [0.5, 1e-6, 1e-12, 0].map((threshold) => numericalRank(matrix, threshold)),
    [2, 3, 4, 4],
  );
  for (const [i, value] of [3, 2, 1e-3, 1e-9, 0].entries()) close(singularValues(matrix)[i], value, 0);
  assert.throws(
    () => numericalRank(matrix, Number.NaN),
    /^RangeError: numericalRank: expected a threshold ≥ 0, got NaN$/,
  );
});
