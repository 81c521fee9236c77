import {
  broadcastTo,
  cast,
  concat,
  flip,
  pad,
  reshape,
  slice,
  squeeze,
  stopGradient,
  swapAxes,
  type Tensor,
  transpose,
  zeros,
} from "@fmmformer/autodiff";
import { distinctSizes, tensors } from "@fmmformer/kernels/laws";
import fc from "fast-check";
import { elementsOf, range, stretched } from "../elements.ts";
import { type Entry, onOne, type Use, useOf } from "../entry.ts";

const sizes = distinctSizes(["b", "n", "m"]);
const every = ["float32", "int32"] as const;

const reshapes = sizes.chain(({ b, n, m }) => {
  const flat = (...[i, j, k]: readonly number[]): number => (i * n + j) * m + k;
  return fc.oneof(
    onOne(
      tensors([b, n, m]),
      [b * n * m],
      (x) => reshape(x, [-1]),
      (x) => (at) => x(Math.floor(at / (n * m)), Math.floor(at / m) % n, at % m),
    ),
    onOne(
      tensors([b * n, m]),
      [b, n, m],
      (x) => reshape(x, [b, -1, m]),
      (x) => (i, j, k) => x(i * n + j, k),
    ),
    onOne(
      tensors([b * n * m]),
      [b, n, m],
      (x) => reshape(x, [b, n, m]),
      (x) =>
        (...index) =>
          x(flat(...index)),
    ),
  );
});

const transposes = sizes.chain(({ b, n, m }) =>
  fc.oneof(
    onOne(
      tensors([n, m]),
      [m, n],
      (x) => transpose(x),
      (x) => (i, j) => x(j, i),
    ),
    onOne(
      tensors([b, n, m]),
      [m, b, n],
      (x) => transpose(x, [2, 0, -2]),
      (x) => (i, j, k) => x(j, k, i),
    ),
    onOne(
      tensors([b, n, m]),
      [n, m, b],
      (x) => transpose(x, [1, 2, 0]),
      (x) => (i, j, k) => x(k, i, j),
    ),
    onOne(
      tensors([b, n, m]),
      [b, m, n],
      (x) => swapAxes(x, 1, -1),
      (x) => (i, j, k) => x(i, k, j),
    ),
  ),
);

const broadcasts = sizes.chain(({ b, n, m }) =>
  fc.constantFrom([n, m], [n, 1], [1, m], [m], [b, 1, 1], []).chain((shape) => {
    const op = (x: Tensor): Tensor => broadcastTo(x, [b, n, m]);
    return useOf([tensors(shape)], { op: op as Use["op"], shape: [b, n, m], element: stretched });
  }),
);

/** Where a slice of an axis begins, ends and how far it steps. */
const cuts = fc.record({
  from: fc.integer({ min: 0, max: 2 }),
  length: fc.integer({ min: 0, max: 4 }),
  step: fc.integer({ min: 1, max: 3 }),
  after: fc.integer({ min: 0, max: 2 }),
});

const slices = fc.array(cuts, { minLength: 1, maxLength: 3 }).chain((axes) => {
  const starts = axes.map((cut) => cut.from);
  const limits = axes.map((cut) => cut.from + cut.length);
  const strides = axes.map((cut) => cut.step);
  return onOne(
    tensors(axes.map((cut) => cut.from + cut.length + cut.after)),
    axes.map((cut) => range(cut.length).filter((i) => i % cut.step === 0).length),
    (x) => slice(x, starts, limits, { strides }),
    (x) =>
      (...index) =>
        x(...index.map((i, axis) => starts[axis] + i * strides[axis])),
  );
});

const pads = fc
  .tuple(sizes, fc.array(fc.nat(2), { minLength: 4, maxLength: 4 }), fc.constantFrom(0, -1.5))
  .chain(([{ n, m }, [top, bottom, left, right], value]) =>
    onOne(
      tensors([n, m]),
      [top + n + bottom, left + m + right],
      (x) =>
        pad(
          x,
          [
            [top, bottom],
            [left, right],
          ],
          { value },
        ),
      (x) => (i, j) => (i < top || i >= top + n || j < left || j >= left + m ? value : x(i - top, j - left)),
    ),
  );

const concats = distinctSizes(["b", "n", "m", "c"]).chain(({ b, n, m, c }) =>
  fc.constantFrom(0, 1, -1).chain((axis) => {
    const joined = axis < 0 ? axis + 3 : axis;
    const shapes = [b, 0, n].map((size) => [c, m, b].map((other, at) => (at === joined ? size : other)));
    return useOf(
      shapes.map((shape) => tensors(shape)),
      {
        op: (...xs) => concat(xs, { axis }),
        shape: shapes[0].map((size, at) => (at === joined ? b + n : size)),
        element:
          (first, _, last) =>
          (...index) => {
            const at = index[joined];
            return at < b ? elementsOf(first)(...index) : elementsOf(last)(...index.with(joined, at - b));
          },
      },
    );
  }),
);

const flips = sizes.chain(({ b, n, m }) =>
  fc.oneof(
    onOne(
      tensors([b, n, m]),
      [b, n, m],
      (x) => flip(x),
      (x) => (i, j, k) => x(i, j, m - 1 - k),
    ),
    onOne(
      tensors([b, n, m]),
      [b, n, m],
      (x) => flip(x, { axis: 0 }),
      (x) => (i, j, k) => x(b - 1 - i, j, k),
    ),
    onOne(
      tensors([n, m]),
      [n, m],
      (x) => flip(x, { axis: -2 }),
      (x) => (i, j) => x(n - 1 - i, j),
    ),
  ),
);

const casts = sizes.chain(({ n, m }) =>
  onOne(
    tensors([n, m], { dtype: "float32" }),
    [n, m],
    (x) => cast(x, "float64"),
    (x) => x,
  ),
);

const stops = sizes.chain(({ n, m }) => onOne(tensors([n, m]), [n, m], stopGradient, (x) => x));

export const shapeTable: readonly Entry[] = [
  {
    primitive: "reshape",
    uses: reshapes,
    kind: "linear",
    dtypes: every,
    refuses: [
      [() => reshape(zeros([2, 3]), [4]), "reshape: expected a shape of 6 elements for (2, 3), got (4,)"],
      [() => reshape(zeros([2, 3]), [4, -1]), "reshape: expected a shape of 6 elements for (2, 3), got (4, -1)"],
      [() => reshape(zeros([2, 3]), [-1, -1]), "reshape: expected sizes that are whole numbers ≥ 0, got (-1,)"],
      [() => reshape(zeros([2, 3]), [1.5, 4]), "reshape: expected sizes that are whole numbers ≥ 0, got (1.5, 4)"],
    ],
  },
  {
    primitive: "transpose",
    uses: transposes,
    kind: "linear",
    dtypes: every,
    refuses: [
      [() => transpose(zeros([2, 3]), [0]), "transpose: expected a permutation of 2 axes for (2, 3), got (0)"],
      [() => transpose(zeros([2, 3]), [0, 0]), "transpose: expected a permutation of 2 axes for (2, 3), got (0, 0)"],
      [() => transpose(zeros([2, 3]), [0, 2]), "transpose: expected an axis from -2 to 1, got 2"],
      [() => squeeze(zeros([2, 3]), 0), "squeeze: expected size 1 at axis 0, got (2, 3)"],
    ],
  },
  {
    primitive: "broadcast",
    uses: broadcasts,
    kind: "linear",
    dtypes: every,
    refuses: [
      [() => broadcastTo(zeros([2, 3]), [2, 4]), "broadcastTo: expected a shape that (2, 3) stretches to, got (2, 4)"],
      [() => broadcastTo(zeros([2, 3]), [3]), "broadcastTo: expected a shape that (2, 3) stretches to, got (3,)"],
      [
        () => broadcastTo(zeros([2, 3]), [2, 3, 1]),
        "broadcastTo: expected a shape that (2, 3) stretches to, got (2, 3, 1)",
      ],
    ],
  },
  {
    primitive: "slice",
    uses: slices,
    kind: "linear",
    dtypes: every,
    refuses: [
      [
        () => slice(zeros([2, 3]), [0, 1], [2, 4]),
        "slice: expected 0 ≤ start ≤ limit ≤ size and strides ≥ 1 for (2, 3), got starts (0, 1), limits (2, 4)",
      ],
      [
        () => slice(zeros([4]), [3], [2]),
        "slice: expected 0 ≤ start ≤ limit ≤ size and strides ≥ 1 for (4,), got starts (3,), limits (2,)",
      ],
      [
        () => slice(zeros([4]), [0, 0]),
        "slice: expected 0 ≤ start ≤ limit ≤ size and strides ≥ 1 for (4,), got starts (0, 0), limits ()",
      ],
      [
        () => slice(zeros([4]), [0], [4], { strides: [0] }),
        "slice: expected 0 ≤ start ≤ limit ≤ size and strides ≥ 1 for (4,), got starts (0,), limits (4,), strides (0,)",
      ],
    ],
  },
  {
    primitive: "pad",
    uses: pads,
    dtypes: ["float32"],
    refuses: [
      [() => pad(zeros([2, 3]), [[1, 0]]), "pad: expected 2 pairs of widths ≥ 0 for (2, 3), got [[1,0]]"],
      [() => pad(zeros([2]), [[-1, 0]]), "pad: expected 1 pairs of widths ≥ 0 for (2,), got [[-1,0]]"],
    ],
  },
  {
    primitive: "concat",
    uses: concats,
    kind: "linear",
    dtypes: every,
    refuses: [
      [
        () => concat([zeros([2, 3]), zeros([2, 4])]),
        "concat: expected shapes (any, 3) to join along axis 0, got (2, 4)",
      ],
      [
        () => concat([zeros([2, 3]), zeros([3, 3])], { axis: 1 }),
        "concat: expected shapes (2, any) to join along axis 1, got (3, 3)",
      ],
      [() => concat([zeros([2, 3]), zeros([2])]), "concat: expected shapes (any, 3) to join along axis 0, got (2,)"],
      [() => concat([]), "concat: expected at least one tensor, got none"],
    ],
  },
  {
    primitive: "flip",
    uses: flips,
    kind: "linear",
    dtypes: every,
    refuses: [[() => flip(zeros([2, 3]), { axis: 2 }), "flip: expected an axis from -2 to 1, got 2"]],
  },
  { primitive: "cast", uses: casts, kind: "linear", dtypes: [], tolerance: 1e-6 },
  { primitive: "stopGradient", uses: stops, kind: "constant", dtypes: every },
];
