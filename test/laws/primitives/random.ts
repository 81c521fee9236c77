import { random, type Tensor, tensor, zeros } from "@fmmformer/autodiff";
import fc from "fast-check";
import { elementsOf } from "../elements.ts";
import { type Entry, type Use, useOf } from "../entry.ts";

/** Threefry-2x32-20 after the paper's algorithm, in exact integers. */
export function threefry(key: readonly [bigint, bigint], counter: readonly [bigint, bigint]): [bigint, bigint] {
  const word = (x: bigint): bigint => x & 0xffffffffn;
  const rotated = (x: bigint, by: bigint): bigint => word(x << by) | (x >> (32n - by));
  const schedule = [...key, key[0] ^ key[1] ^ 0x1bd11bdan];
  let [x, y] = counter.map((c, i) => word(c + key[i]));
  for (let round = 0; round < 20; round++) {
    x = word(x + y);
    y = rotated(y, [13n, 15n, 26n, 6n, 17n, 29n, 16n, 24n][round % 8]) ^ x;
    if (round % 4 === 3) {
      const injection = Math.floor(round / 4) + 1;
      x = word(x + schedule[injection % 3]);
      y = word(y + schedule[(injection + 1) % 3] + BigInt(injection));
    }
  }
  return [x, y];
}

const words = fc.integer({ min: -(2 ** 31), max: 2 ** 31 - 1 });
const keys = fc.tuple(words, words).map((pair) => tensor(Int32Array.from(pair)));
const unsigned = (x: number): bigint => BigInt(x >>> 0);

/** Element i of a draw of `bits` bits: a word for each, or a quarter of two. */
function drawn(key: [bigint, bigint], i: number, bits: number): number {
  if (bits > 16) {
    const word = threefry(key, [BigInt(i), 0n])[0] >> BigInt(32 - bits);
    return Number(bits === 32 ? BigInt.asIntN(32, word) : word);
  }
  const word = threefry(key, [BigInt(Math.floor(i / 4)), 0n])[Math.floor(i / 2) % 2];
  const half = i % 2 === 0 ? word >> 16n : word & 0xffffn;
  return Number(half >> BigInt(16 - bits));
}

const sizes = fc.constantFrom([2, 3], [3, 47], [3, 47]); // below and above what a kernel makes side by side
const draws = fc.tuple(fc.constantFrom(32, 24, 17, 16, 9, 1), sizes).chain(([bits, shape]) =>
  useOf([keys], {
    op: ((key: Tensor) => random.bits(key, shape, { bits })) as Use["op"],
    shape,
    element: (key) => (i, j) => {
      const [k0, k1] = [0, 1].map((at) => unsigned(elementsOf(key)(at)));
      return drawn([k0, k1], shape[1] * i + j, bits);
    },
  }),
);

const folds = fc.nat(1000).chain((step) =>
  useOf([keys, fc.nat(1000).map((i) => tensor(i + step, { dtype: "int32" }))], {
    op: random.fold as Use["op"],
    shape: [2],
    element: (key, i) => (at) => {
      const [k0, k1] = [0, 1].map((part) => unsigned(elementsOf(key)(part)));
      return Number(BigInt.asIntN(32, threefry([k0, k1], [BigInt(at), unsigned(elementsOf(i)() + 1)])[0]));
    },
  }),
);

const remedy = "make one with random.key(seed)";

export const randomTable: readonly Entry[] = [
  {
    primitive: "randomBits",
    uses: fc.oneof({ arbitrary: draws, weight: 3 }, { arbitrary: folds, weight: 1 }),
    kind: "constant",
    result: "int32",
    dtypes: [],
    refuses: [
      [
        () => random.bits(zeros([3], { dtype: "int32" }), [2]),
        `random: expected a key of shape (2,) and dtype int32, got (3,) int32; ${remedy}`,
      ],
      [
        () => random.bits(zeros([2]), [2]),
        `random: expected a key of shape (2,) and dtype int32, got (2,) float32; ${remedy}`,
      ],
      [
        () => random.normal(zeros([5, 2], { dtype: "int32" }), [2]),
        `random: expected a key of shape (2,) and dtype int32, got (5, 2) int32; ${remedy}`,
      ],
    ],
  },
];
