import {
  abs,
  add,
  cos,
  type DType,
  div,
  equal,
  erf,
  exp,
  expm1,
  floor,
  less,
  lessEqual,
  log,
  log1p,
  maximum,
  minimum,
  mod,
  mul,
  neg,
  pow,
  type Scalar,
  sigmoid,
  sign,
  sin,
  softplus,
  sqrt,
  sub,
  type Tensor,
  tanh,
  where,
  zeros,
} from "@fmmformer/autodiff";
import { distinctSizes, masks, tensors } from "@fmmformer/kernels/laws";
import fc from "fast-check";
import { filled, total } from "../elements.ts";
import { type Entry, elementwise, type Use } from "../entry.ts";

type Op = (...xs: Scalar[]) => Tensor;
type Rest = Omit<Entry, "primitive" | "uses">;
type Draw = (shape: readonly number[]) => fc.Arbitrary<Tensor>;

const between =
  (low: number, high: number): Draw =>
  (shape) =>
    tensors(shape, { low, high });
const any: Draw = between(-2, 2);
/** Few values, so that equals meet, or none do that are near. */
const few =
  (...values: number[]): Draw =>
  (shape) =>
    filled(shape, fc.constantFrom(...values));

const shapes = distinctSizes(["n", "m"]).chain(({ n, m }) => fc.constantFrom([n, m], [n], [], [m, 0]));

/** Shapes of two operands that broadcast, and that of the result. */
const pairs = distinctSizes(["b", "n", "m"]).chain(({ b, n, m }) =>
  fc.constantFrom(
    [
      [n, m],
      [n, m],
      [n, m],
    ],
    [[b, n, m], [m], [b, n, m]],
    [
      [n, 1],
      [b, 1, m],
      [b, n, m],
    ],
    [[], [n], [n]],
    [
      [b, n],
      [1, 1],
      [b, n],
    ],
    [[0, n], [n], [0, n]],
  ),
);

function unary(op: Op, f: (x: number) => number, draw: Draw, rest: Rest = {}): Entry {
  return { primitive: nameOf(op), uses: shapes.chain((shape) => elementwise([draw(shape)], shape, op, f)), ...rest };
}

function binary(op: Op, f: (x: number, y: number) => number, draws: readonly [Draw, Draw], rest: Rest = {}): Entry {
  const uses = pairs.chain(([a, b, shape]) => elementwise([draws[0](a), draws[1](b)], shape, op, f));
  const name = nameOf(op);
  const refuses: Entry["refuses"] = [
    [
      () => op(zeros([2, 3]), zeros([2])),
      `${name}: expected shapes that broadcast, got (2, 3) and (2,); axes aligned at the right must be equal or 1, and 3 ≠ 2`,
    ],
    [
      () => op(zeros([4, 2]), zeros([3, 1, 4])),
      `${name}: expected shapes that broadcast, got (4, 2) and (3, 1, 4); axes aligned at the right must be equal or 1, and 2 ≠ 4`,
    ],
    [
      () => op(zeros([3, 4, 2]), zeros([3, 2])),
      `${name}: expected shapes that broadcast, got (3, 4, 2) and (3, 2); axes aligned at the right must be equal or 1, and 4 ≠ 3`,
    ],
  ];
  return { primitive: name, uses, refuses, ...rest };
}

function nameOf(op: Op): string {
  return (op as unknown as { readonly primitive: { readonly name: string } }).primitive.name;
}

/** Σ (−1)ⁿ x^{2n + odd} / divisor(n). */
function alternating(x: number, odd: 0 | 1, divisor: (n: number) => number): number {
  return total(40, (n) => ((-1) ** n * x ** (2 * n + odd)) / divisor(n));
}

function factorial(n: number): number {
  return n < 2 ? 1 : n * factorial(n - 1);
}

const whole: readonly DType[] = ["float32", "int32"];
const ties: readonly [Draw, Draw] = [few(-1, 0, 0.5, 2), few(-1, 0, 0.5, 3)];
const apart: readonly [Draw, Draw] = [few(-1.4, -0.2, 0.4, 1), few(-0.9, 0.1, 0.7, 1.9)];
const truth: Rest = { kind: "constant", result: "bool", dtypes: whole };

const triples = distinctSizes(["b", "n", "m"]).chain(({ b, n, m }) =>
  fc.constantFrom(
    [
      [n, m],
      [n, m],
      [n, m],
      [n, m],
    ],
    [[n, 1], [b, n, m], [m], [b, n, m]],
    [[], [n], [b, 1], [b, n]],
    [[b, n, m], [], [], [b, n, m]],
  ),
);

export const elementwiseTable: readonly Entry[] = [
  unary(neg, (x) => 0 - x, any, { kind: "linear", dtypes: whole }),
  unary(exp, (x) => Math.E ** x, any),
  unary(log, (x) => Math.log2(x) * Math.LN2, between(0.1, 3)),
  unary(log1p, (x) => Math.log(1 + x), between(-0.8, 3)),
  unary(expm1, (x) => Math.exp(x) - 1, any),
  unary(sqrt, (x) => x ** 0.5, between(0.1, 3)),
  unary(tanh, (x) => (Math.exp(2 * x) - 1) / (Math.exp(2 * x) + 1), any),
  unary(sigmoid, (x) => 1 / (1 + Math.exp(-x)), any),
  unary(softplus, (x) => Math.log(1 + Math.exp(x)), any),
  unary(erf, (x) => (2 / Math.sqrt(Math.PI)) * alternating(x, 1, (n) => factorial(n) * (2 * n + 1)), any),
  unary(sin, (x) => alternating(x, 1, (n) => factorial(2 * n + 1)), any),
  unary(cos, (x) => alternating(x, 0, (n) => factorial(2 * n)), any),
  unary(abs, (x) => (x < 0 ? -x : x), few(-1.5, -0.3, 0.2, 1.7), { dtypes: whole }),
  unary(sign, (x) => (x < 0 ? -1 : 1), few(-1.5, -0.3, 0.2, 1.7), { dtypes: whole }),
  unary(floor, (x) => Math.round(x - 0.5), few(-1.7, -0.3, 0.2, 1.4), { dtypes: whole }),
  binary(add, (x, y) => x + y, [any, any], { kind: "linear", dtypes: whole }),
  binary(sub, (x, y) => x - y, [any, any], { kind: "linear", dtypes: whole }),
  binary(mul, (x, y) => x * y, [any, any], { dtypes: whole }),
  binary(div, (x, y) => x / y, [any, between(0.5, 2)]),
  binary(pow, (x, y) => Math.exp(y * Math.log(x)), [between(0.3, 2), any]),
  binary(maximum, (x, y) => (x < y ? y : x), apart, { dtypes: whole }),
  binary(minimum, (x, y) => (x < y ? x : y), apart, { dtypes: whole }),
  binary(mod, (x, y) => x - y * Math.floor(x / y), [few(-3.7, -2.3, -0.7, 0.3, 1.3, 3.7), few(-2, -1, 1, 2)], {
    dtypes: whole,
  }),
  binary(equal, (x, y) => (x === y ? 1 : 0), ties, truth),
  binary(less, (x, y) => (x < y ? 1 : 0), ties, truth),
  binary(lessEqual, (x, y) => (x <= y ? 1 : 0), ties, truth),
  {
    primitive: "where",
    uses: triples.chain(([c, x, y, shape]) =>
      elementwise([masks(c), any(x), any(y)], shape, where as Use["op"], (condition, a, b) => (condition ? a : b)),
    ),
    dtypes: whole,
    refuses: [
      [
        () => where(zeros([2]), zeros([2, 3]), 0),
        "where: expected shapes that broadcast, got (2,) and (2, 3); axes aligned at the right must be equal or 1, and 2 ≠ 3",
      ],
      [
        () => where(zeros([3]), zeros([2, 3]), zeros([2])),
        "where: expected shapes that broadcast, got (2, 3) and (2,); axes aligned at the right must be equal or 1, and 3 ≠ 2",
      ],
      [
        () => where(zeros([4, 3]), zeros([3]), zeros([2, 3])),
        "where: expected shapes that broadcast, got (4, 3) and (2, 3); axes aligned at the right must be equal or 1, and 4 ≠ 2",
      ],
    ],
  },
];
