import { iota } from "../create.ts";
import { ShapeError, showShape } from "../errors.ts";
import { sum } from "../primitives/broadcast.ts";
import { mul } from "../primitives/elementwise.ts";
import { take } from "../primitives/gather.ts";
import { reshape, transpose } from "../primitives/layout.ts";
import { matmul } from "../primitives/matmul.ts";
import type { Tensor } from "../tensor.ts";

interface Labelled {
  readonly x: Tensor;
  readonly labels: readonly string[];
}

/**
 * Sums of products by labelled axes, as in `einsum("bij,bjk->bik", a, b)`: axes with one label run together, those missing behind the
 * arrow are added up. Without an arrow the result has the labels that occur once, in alphabetical order.
 *
 * Operands are joined from left to right, each pair as one matmul.
 *
 * @throws ShapeError when labels and axes differ in number, or one label has two sizes
 */
export function einsum(equation: string, ...operands: readonly Tensor[]): Tensor {
  const { inputs, output } = parse(equation, operands);
  let left = diagonal(inputs[0]);
  for (let i = 1; i < inputs.length; i++) {
    const later = new Set([...output, ...inputs.slice(i + 1).flatMap((o) => o.labels)]);
    left = product(left, diagonal(inputs[i]), later);
  }
  const summed = reduce(left, new Set(output));
  return transpose(
    summed.x,
    output.map((label) => summed.labels.indexOf(label)),
  );
}

function parse(
  equation: string,
  operands: readonly Tensor[],
): { readonly inputs: readonly Labelled[]; readonly output: readonly string[] } {
  const [left, right] = equation.replaceAll(" ", "").split("->");
  const terms = left.split(",");
  if (terms.length !== operands.length || !/^[a-zA-Z,]*(->[a-zA-Z]*)?$/.test(equation.replaceAll(" ", ""))) {
    throw new ShapeError(
      `einsum: expected labels for ${operands.length} operands, as in "ij,jk->ik", got "${equation}"`,
    );
  }
  const sizes = new Map<string, number>();
  const inputs = terms.map((term, i) => {
    const labels = [...term];
    const x = operands[i];
    if (labels.length !== x.shape.length) {
      throw new ShapeError(
        `einsum: expected ${x.shape.length} labels for operand ${i} of shape ${showShape(x.shape)}, got "${term}"`,
      );
    }
    labels.forEach((label, axis) => {
      const known = sizes.get(label) ?? x.shape[axis];
      if (known !== x.shape[axis]) {
        throw new ShapeError(
          `einsum: expected size ${known} for label ${label}, got ${x.shape[axis]} in operand ${i} of shape ${showShape(x.shape)}`,
        );
      }
      sizes.set(label, known);
    });
    return { x, labels };
  });
  const all = terms.join("");
  const once = [...new Set(all)].filter((label) => all.indexOf(label) === all.lastIndexOf(label)).sort();
  const output = right === undefined ? once : [...right];
  const bad = output.find((label, i) => !sizes.has(label) || output.indexOf(label) !== i);
  if (bad)
    throw new ShapeError(
      `einsum: expected each result label once and among the operands', got ${bad} in "${equation}"`,
    );
  return { inputs, output };
}

/** One axis for a label that an operand has twice. */
function diagonal({ x, labels }: Labelled): Labelled {
  const twice = labels.findIndex((label, i) => labels.indexOf(label) !== i);
  if (twice < 0) return { x, labels };
  const first = labels.indexOf(labels[twice]);
  const rest = labels.map((_, i) => i).filter((i) => i !== first && i !== twice);
  const n = x.shape[first];
  const rows = reshape(transpose(x, [first, twice, ...rest]), [n * n, ...rest.map((i) => x.shape[i])]);
  return diagonal({ x: take(rows, mul(iota(n), n + 1)), labels: [labels[first], ...rest.map((i) => labels[i])] });
}

/** Add up over labels that nothing later needs. */
function reduce({ x, labels }: Labelled, needed: ReadonlySet<string>): Labelled {
  const axis = labels.flatMap((label, i) => (needed.has(label) ? [] : [i]));
  return axis.length === 0
    ? { x, labels }
    : { x: sum(x, { axis }), labels: labels.filter((label) => needed.has(label)) };
}

function product(a: Labelled, b: Labelled, later: ReadonlySet<string>): Labelled {
  const left = reduce(a, new Set([...later, ...b.labels]));
  const right = reduce(b, new Set([...later, ...a.labels]));
  const shared = left.labels.filter((label) => right.labels.includes(label));
  const batch = shared.filter((label) => later.has(label));
  const inner = shared.filter((label) => !later.has(label));
  const rows = left.labels.filter((label) => !shared.includes(label));
  const columns = right.labels.filter((label) => !shared.includes(label));
  const size = (of: Labelled, label: string): number => of.x.shape[of.labels.indexOf(label)];
  const flat = (of: Labelled, ...groups: readonly (readonly string[])[]): Tensor => {
    const ordered = transpose(
      of.x,
      groups.flat().map((label) => of.labels.indexOf(label)),
    );
    return reshape(
      ordered,
      groups.map((group) => group.reduce((n, label) => n * size(of, label), 1)),
    );
  };
  const y = matmul(flat(left, batch, rows, inner), flat(right, batch, inner, columns));
  const shape = [
    ...batch.map((l) => size(left, l)),
    ...rows.map((l) => size(left, l)),
    ...columns.map((l) => size(right, l)),
  ];
  return { x: reshape(y, shape), labels: [...batch, ...rows, ...columns] };
}
