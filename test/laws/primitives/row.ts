import { scatterAdd, type Tensor, take, takeAlongAxis, tensor, zeros } from "@fmmformer/autodiff";
import { distinctSizes, tensors } from "@fmmformer/kernels/laws";
import fc from "fast-check";
import { elementsOf, indicesOf } from "../elements.ts";
import { type Entry, type Use, useOf } from "../entry.ts";

const sizes = distinctSizes(["b", "c", "n", "m"]);

function rowNumbers(shape: readonly number[], rows: number): fc.Arbitrary<Tensor> {
  const size = shape.reduce((a, b) => a * b, 1);
  return fc
    .array(fc.nat(rows - 1), { minLength: size, maxLength: size })
    .map((values) => tensor(Int32Array.from(values), { shape }));
}

const takes = sizes.chain(({ b, c, n, m }) =>
  fc.tuple(fc.constantFrom([c], [c, b], []), fc.constantFrom(0, 1, -1)).chain(([list, axis]) => {
    const at = axis < 0 ? axis + 2 : axis;
    const shape = [n, m];
    return useOf([tensors(shape), rowNumbers(list, shape[at])], {
      op: (x, indices) => take(x, indices, { axis }),
      shape: shape.toSpliced(at, 1, ...list),
      element:
        (x, indices) =>
        (...index) => {
          const row = elementsOf(indices)(...index.slice(at, at + list.length));
          return elementsOf(x)(...index.toSpliced(at, list.length, row));
        },
    });
  }),
);

const takesAlong = sizes.chain(({ b, n, m, c }) =>
  useOf([tensors([b, n, m]), rowNumbers([b, c, m], n)], {
    op: (x, indices) => takeAlongAxis(x, indices, { axis: 1 }),
    shape: [b, c, m],
    element: (x, indices) => (i, j, k) => elementsOf(x)(i, elementsOf(indices)(i, j, k), k),
  }),
);

const scatters = sizes.chain(({ b, c, n, m }) =>
  fc.constantFrom([c], [c, b], []).chain((list) =>
    useOf([tensors([n, m]), rowNumbers(list, n), tensors([...list, m])], {
      op: scatterAdd as Use["op"],
      shape: [n, m],
      element: (x, indices, updates) => (row, j) =>
        indicesOf(list).reduce(
          (sum, place) => (elementsOf(indices)(...place) === row ? sum + elementsOf(updates)(...place, j) : sum),
          elementsOf(x)(row, j),
        ),
    }),
  ),
);

const ids = (...values: number[]): Tensor => tensor(values, { dtype: "int32" });

export const rowTable: readonly Entry[] = [
  {
    primitive: "gather",
    uses: fc.oneof(takes, takesAlong),
    dtypes: ["float32", "int32"],
    refuses: [
      [
        () => take(zeros([4, 2]), ids(1, 4)),
        "take: expected indices from 0 to 3, got 4; check the vocabulary size or clip the ids first",
      ],
      [
        () => take(zeros([4, 2]), ids(-1)),
        "take: expected indices from 0 to 3, got -1; check the vocabulary size or clip the ids first",
      ],
      [() => take(zeros([4, 2]), tensor([1])), "take: expected int32 indices, got float32; cast them first"],
      [() => take(zeros([4, 2]), ids(1), { axis: 2 }), "take: expected an axis from -2 to 1, got 2"],
      [() => take(zeros([]), ids(0)), "take: expected a tensor with axes, got a scalar"],
      [
        () => takeAlongAxis(zeros([2, 3]), zeros([2, 1])),
        "takeAlongAxis: expected int32 indices, got float32; cast them first",
      ],
    ],
  },
  {
    primitive: "scatterAdd",
    uses: scatters,
    dtypes: ["float32", "int32"],
    refuses: [
      [
        () => scatterAdd(zeros([4, 2]), ids(1, 2, 0), zeros([2, 2])),
        "scatterAdd: expected updates (3, 2) for x (4, 2) and indices (3,), got (2, 2)",
      ],
      [
        () => scatterAdd(zeros([4, 2]), ids(1), zeros([1, 3])),
        "scatterAdd: expected updates (1, 2) for x (4, 2) and indices (1,), got (1, 3)",
      ],
      [
        () => scatterAdd(zeros([4, 2]), ids(5), zeros([1, 2])),
        "scatterAdd: expected indices from 0 to 3, got 5; check the vocabulary size or clip the ids first",
      ],
      [
        () => scatterAdd(zeros([4, 2]), tensor([1]), zeros([1, 2])),
        "scatterAdd: expected int32 indices, got float32; cast them first",
      ],
    ],
  },
];
