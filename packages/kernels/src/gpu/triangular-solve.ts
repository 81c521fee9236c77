import type { Var } from "@fmmformer/autodiff/extend";
import { type Builder, map } from "./builder.ts";
import type { Code } from "./code.ts";
import { computed, type Formula, transposed } from "./formula.ts";
import { matmul } from "./matmul.ts";

/**
 * A⁻¹ B for triangular A. Rows of a solution wait for each other; blocks of an inverse do not. Blocks of one element have the inverse 1 / a,
 * and two neighbours of s elements make one of 2s:
 *
 *     [A 0; C B]⁻¹ = [A⁻¹ 0; −B⁻¹ C A⁻¹ B⁻¹]
 */
export function solveTriangular(
  b: Builder,
  y: Var,
  [a, x]: readonly Formula[],
  { lower, transpose, unit }: { readonly lower: boolean; readonly transpose: boolean; readonly unit: boolean },
): Formula {
  const axes = a.shape.map((_, axis) => axis);
  const swapped = [...axes.slice(0, -2), axes.length - 1, axes.length - 2];
  // An upper triangle is the transpose of a lower one.
  const given = b.light(lower ? a : transposed(a, swapped));
  const n = a.shape[a.shape.length - 1];
  const like = { shape: a.shape, dtype: a.dtype };
  let inverse = b.store(
    computed(like, [given], 1, (code, place) => {
      const [i, j] = place.slice(-2);
      if (unit) return `(${i} === ${j} ? 1 : 0)`;
      const value = code.variable("0");
      code.when(`${i} === ${j}`, () => code.set(value, `1 / ${given.at(code, place)}`));
      return value;
    }),
  );
  for (let s = 1; s < n; s *= 2) {
    const known = inverse;
    /** Whether a place is in the lower left of a block of 2s, and where its quarter begins. */
    const quarter = (code: Code, i: string, j: string) => {
      const [block, row] = code.divide(i, 2 * s, n);
      const [other, column] = code.divide(j, 2 * s, n);
      const first = code.name(`${block} * ${2 * s}`);
      return { condition: `${block} === ${other} && ${row} >= ${s} && ${column} < ${s}`, first };
    };
    const product = b.store(
      computed(like, [given, known], 2 * s, (code, place) => {
        const [z, [i, j]] = [place.slice(0, -2), place.slice(-2)];
        const { condition, first } = quarter(code, i, j);
        const dot = code.variable("0");
        code.when(condition, () =>
          code.loop(s, (t) => {
            const l = code.name(`${first} + ${t}`);
            code.set(dot, `${dot} + ${given.at(code, [...z, i, l])} * ${known.at(code, [...z, l, j])}`);
          }),
        );
        return dot;
      }),
    );
    inverse = b.store(
      computed(like, [product, known], 2 * s, (code, place) => {
        const [z, [i, j]] = [place.slice(0, -2), place.slice(-2)];
        const { condition, first } = quarter(code, i, j);
        const value = code.variable(known.at(code, place));
        code.when(condition, () =>
          code.loop(s, (t) => {
            const l = code.name(`${first} + ${s} + ${t}`);
            const inside = (): void =>
              code.set(value, `${value} - ${known.at(code, [...z, i, l])} * ${product.at(code, [...z, l, j])}`);
            code.when(`${l} < ${n}`, inside);
          }),
        );
        return value;
      }),
    );
  }
  // The transpose of an upper triangle was inverted.
  const applied = transpose === lower ? transposed(inverse, swapped) : inverse;
  return map(b, y, [matmul(b, y, applied, x)], { cost: 0, apply: (_, value) => value });
}
