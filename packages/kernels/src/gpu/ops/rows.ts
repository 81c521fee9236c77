import { type Call, inFloat32, parameters } from "../../composed-call.ts";
import { map } from "../builder.ts";
import type { Code } from "../code.ts";
import { elementwise } from "../elementwise.ts";
import { broadcast, computed } from "../formula.ts";
import { longestSum } from "../sums.ts";
import type { FusedOp } from "./fused-op.ts";
import { twoOfRows } from "./two-of-rows.ts";

/** Σ of terms along a row. */
function sumOf(code: Code, count: number, term: (e: string) => string): string {
  const sum = code.variable("0");
  code.loop(count, (e) => code.set(sum, `${sum} + ${term(e)}`));
  return sum;
}

/** A thread adds up a row. */
const takes = (call: Call): boolean => inFloat32(call) && call.ins[0].shape[call.ins[0].shape.length - 1] <= longestSum;

/** (x − mean) · root · gain + bias: the two numbers of rows, then the rows. */
export const layerNorm: FusedOp = {
  takes,
  rule(b, equation, [given, gain, bias]) {
    const { eps } = parameters<{ readonly eps: number }>(equation as Call);
    const x = b.light(given);
    const c = x.shape[x.shape.length - 1];
    const [center, inverse] = twoOfRows(
      b,
      [x],
      (code, row) => `${sumOf(code, c, (e) => x.at(code, [...row, e]))} / ${c}`,
      (code, row, mean) => {
        const squares = sumOf(code, c, (e) => {
          const off = code.name(`${x.at(code, [...row, e])} - ${mean}`);
          return `${off} * ${off}`;
        });
        return `1 / Math.sqrt(${squares} / ${c} + ${eps})`;
      },
    );
    const apply = (_: Code, value: string, mean: string, root: string, stretch: string, shift: string): string =>
      `((${value} - ${mean}) * ${root} * ${stretch} + ${shift})`;
    return [map(b, equation.outs[0], [x, center, inverse, gain, bias], { cost: 4, apply }), center, inverse];
  },
};

/** y = ln Σ e^{x − µ} + (µ − x_label), shifted first so that large logits keep their digits; a label that is no class gives NaN. */
export const crossEntropy: FusedOp = {
  takes,
  rule(b, { outs: [y] }, operands) {
    const [x, labels] = operands.map(b.light);
    const classes = x.shape[x.shape.length - 1];
    const of = broadcast(labels, y.shape);
    const loss = computed(y, [x, labels], 6 * classes, (code, row) => {
      const largest = code.variable(x.at(code, [...row, "0"]));
      code.loop(classes, (e) => code.set(largest, `Math.max(${largest}, ${x.at(code, [...row, e])})`));
      const shift = code.name(`Math.abs(${largest}) < ${code.literal(Infinity)} ? ${largest} : 0`);
      const total = code.name(sumOf(code, classes, (e) => `Math.exp(${x.at(code, [...row, e])} - ${shift})`));
      const label = of.at(code, row);
      const own = code.variable(code.literal(Number.NaN));
      code.when(`${label} >= 0 && ${label} < ${classes}`, () => code.set(own, x.at(code, [...row, label])));
      return `(${elementwise.log.apply(code, total)} + (${shift} - ${own}))`;
    });
    return [loss];
  },
};
