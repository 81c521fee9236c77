import type { Builder } from "../builder.ts";
import type { Code } from "../code.ts";
import { computed, type Formula, reshaped, window } from "../formula.ts";

/**
 * Two numbers for each row of the first operand, (…, 1) each, from one kernel: they are the halves of an array, so that neighbours do the
 * same.
 */
export function twoOfRows(
  b: Builder,
  operands: readonly Formula[],
  first: (code: Code, row: readonly string[]) => string,
  /** May use the first, which is computed again for it */
  second: (code: Code, row: readonly string[], first: string) => string,
): readonly [Formula, Formula] {
  const [{ shape, dtype }] = operands;
  const rows = shape.slice(0, -1);
  const both = b.store(
    computed({ shape: [2, ...rows], dtype }, operands, shape[rows.length], (code, [half, ...row]) => {
      const value = code.variable(first(code, row));
      code.when(`${half} === 1`, () => code.set(value, second(code, row, code.name(value))));
      return value;
    }),
  );
  const [one, two] = [0, 1].map((half) => {
    const starts = [half, ...rows.map(() => 0)];
    const part = window(
      both,
      [1, ...rows],
      starts,
      starts.map(() => 1),
    );
    return reshaped(part, [...rows, 1]);
  });
  return [one, two];
}
