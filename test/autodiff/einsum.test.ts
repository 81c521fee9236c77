import assert from "node:assert/strict";
import { test } from "node:test";
import { checkGradients, einsum, jit, ShapeError, type Tensor, vmap, zeros } from "@fmmformer/autodiff";
import { agree, distinctSizes, tensors } from "@fmmformer/kernels/laws";
import fc from "fast-check";
import { elementsOf, indicesOf, tensorOf } from "../laws/elements.ts";

/** The sum over every assignment of positions to labels. */
function naive(equation: string, operands: readonly Tensor[]): Tensor {
  const [left, given] = equation.replaceAll(" ", "").split("->");
  const terms = left.split(",");
  const once = [...new Set(left.replaceAll(",", ""))].filter((label) => left.split(label).length === 2).sort();
  const output = given === undefined ? once : [...given];
  const sizes = new Map(terms.flatMap((term, i) => [...term].map((label, axis) => [label, operands[i].shape[axis]])));
  const summed = [...sizes.keys()].filter((label) => !output.includes(label));
  const shapeOf = (labels: readonly string[]): number[] => labels.map((label) => sizes.get(label) as number);
  return tensorOf(shapeOf(output), "float64", (...index) =>
    indicesOf(shapeOf(summed)).reduce((total, inner) => {
      const at = (label: string): number =>
        output.includes(label) ? index[output.indexOf(label)] : inner[summed.indexOf(label)];
      return total + terms.reduce((product, term, i) => product * elementsOf(operands[i])(...[...term].map(at)), 1);
    }, 0),
  );
}

const equations = [
  "ij,jk->ik",
  "bij,bjk->bik",
  "bhid,bhjd->bhij",
  "ij->ji",
  "ij->",
  "ij->j",
  "i,j->ij",
  "i,i->",
  "i,i->i",
  "ii->i",
  "ii",
  "iji->j",
  "ij,jk",
  "ab,bc,cd->ad",
  "ab,ab,b->a",
  "b,ab->ab",
  "aab,bc->ca",
  " bij , bj -> i b ",
];

for (const equation of equations) {
  test(`einsum ${equation} is the sum over its labels`, () => {
    const labels = [...new Set(equation.replace(/[^a-z]/g, ""))];
    const terms = equation.replaceAll(" ", "").split("->")[0].split(",");
    const operands = distinctSizes(labels).chain((sizes) =>
      fc.tuple(...terms.map((term) => tensors([...term].map((label) => sizes[label])))),
    );
    fc.assert(
      fc.property(operands, (xs) => {
        const f = (...args: Tensor[]): Tensor => einsum(equation, ...args);
        agree("value", f(...xs), naive(equation, xs), { tolerance: 1e-13 });
        agree("jit", jit(f)(...xs), f(...xs));
        agree(
          "vmap",
          vmap((x: Tensor) => f(x, ...xs.slice(1)))(
            tensorOf([1, ...xs[0].shape], "float64", (_, ...index) => elementsOf(xs[0])(...index)),
          ),
          tensorOf([1, ...f(...xs).shape], "float64", (_, ...index) => elementsOf(f(...xs))(...index)),
          { tolerance: 1e-13 },
        );
        checkGradients(f, xs);
      }),
      { numRuns: 8 },
    );
  });
}

test("einsum refuses labels that do not fit, each in one line", () => {
  const refuses = (call: () => unknown, message: string): void => assert.throws(call, new ShapeError(message));
  const [a, b] = [zeros([2, 3]), zeros([4, 5])];
  refuses(() => einsum("ij,jk->ik", a, b), "einsum: expected size 3 for label j, got 4 in operand 1 of shape (4, 5)");
  refuses(() => einsum("ij,jk->ik", a), 'einsum: expected labels for 1 operands, as in "ij,jk->ik", got "ij,jk->ik"');
  refuses(() => einsum("ijk->k", a), 'einsum: expected 2 labels for operand 0 of shape (2, 3), got "ijk"');
  refuses(
    () => einsum("ij->ii", a),
    'einsum: expected each result label once and among the operands\', got i in "ij->ii"',
  );
  refuses(
    () => einsum("ij->k", a),
    'einsum: expected each result label once and among the operands\', got k in "ij->k"',
  );
  refuses(() => einsum("i j -> i *", a), 'einsum: expected labels for 1 operands, as in "ij,jk->ik", got "i j -> i *"');
});
