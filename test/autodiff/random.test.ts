import assert from "node:assert/strict";
import { test } from "node:test";
import {
  add,
  grad,
  iota,
  jit,
  mul,
  random,
  sort,
  sum,
  type Tensor,
  take,
  tensor,
  vmap,
  zeros,
} from "@fmmformer/autodiff";
import { apply, primitives } from "@fmmformer/autodiff/extend";
import { agree } from "@fmmformer/kernels/laws";
import { threefry } from "../laws/primitives/random.ts";

const [randomBits] = primitives.filter(({ name }) => name === "randomBits");
const words = (...values: number[]): Tensor => tensor(Int32Array.from(values));

// Random123, kat_vectors: threefry2x32 with 20 rounds.
const known = [
  { key: [0, 0], counter: [0, 0], result: [0x6b200159, 0x99ba4efe] },
  { key: [0xffffffff, 0xffffffff], counter: [0xffffffff, 0xffffffff], result: [0x1cb996fc, 0xbb002be7] },
  { key: [0x13198a2e, 0x03707344], counter: [0x243f6a88, 0x85a308d3], result: [0xc4923a9c, 0x483df7a0] },
] as const;

test("the oracle is Threefry-2x32-20: its published vectors", () => {
  for (const { key, counter, result } of known) {
    const [k, c, r] = [key, counter, result].map((pair) => [BigInt(pair[0]), BigInt(pair[1])] as [bigint, bigint]);
    assert.deepEqual(threefry(k, c), r);
  }
});

test("the primitive agrees with the published vector that its counter reaches", () => {
  // Element 0 of stream 0 under key (0, 0) is the first word of counter (0, 0).
  const [bits] = apply(randomBits, [words(0, 0), tensor(0, { dtype: "int32" })], { shape: [1], bits: 32 }).data;
  assert.equal(bits >>> 0, 0x6b200159);
});

test("seeds give the same numbers for ever", () => {
  assert.deepEqual(random.key(0).toArray(), [0, -1616332463]);
  assert.deepEqual(random.bits(random.key(42), [3]).toArray(), [-1465613823, 1419024801, -970241710]);
  const keys = random.split(random.key(1)).map((k) => k.toArray());
  assert.deepEqual(keys, [
    [1201316703, -349025612],
    [-602623711, -462119398],
  ]);
  assert.deepEqual(random.fold(random.key(1), 7).toArray(), [-1795918537, -584605488]);
  assert.equal(String(random.uniform(random.key(7), [3])), "[0.88081044 0.9720954  0.85977995]");
  assert.equal(String(random.normal(random.key(7), [3])), "[-0.38957107  0.24454296 -0.1694353 ]");
  assert.equal(String(random.uniform(random.key(7), [2], { dtype: "float64" })), "[0.88081045 0.97209538]");
  assert.deepEqual(random.permutation(random.key(3), 6).toArray(), [0, 4, 5, 1, 3, 2]);
});

test("keys of different seeds differ, up to 2⁵³", () => {
  const seeds = [0, 1, 2, -1, 2 ** 31, 2 ** 32, 2 ** 32 + 1, 2 ** 53 - 1, -(2 ** 32)];
  assert.equal(new Set(seeds.map((seed) => String(random.key(seed)))).size, seeds.length);
  for (const seed of [0.5, NaN, 2 ** 53]) {
    assert.throws(() => random.key(seed), {
      name: "RangeError",
      message: `random.key: expected a whole number, got ${seed}`,
    });
  }
});

const n = 20000;

function moments(x: Tensor): readonly [mean: number, variance: number, skew: number] {
  const values = [...x.data];
  const mean = values.reduce((a, b) => a + b, 0) / values.length;
  const central = (p: number): number => values.reduce((a, b) => a + (b - mean) ** p, 0) / values.length;
  return [mean, central(2), central(3) / central(2) ** 1.5];
}

function near(actual: number, expected: number, deviation: number): void {
  assert.ok(Math.abs(actual - expected) < 4 * deviation, `expected ${expected} ± ${deviation}, got ${actual}`);
}

test("uniform numbers fill [0, 1), or what low and high say", () => {
  for (const dtype of ["float32", "float64"] as const) {
    const u = random.uniform(random.key(5), [n], { dtype });
    assert.ok(u.data.every((v) => v >= 0 && v < 1));
    const [mean, variance, skew] = moments(u);
    near(mean, 0.5, 1 / Math.sqrt(12 * n));
    near(variance, 1 / 12, 1 / Math.sqrt(180 * n));
    near(skew, 0, 3 / Math.sqrt(n));
    assert.equal(u.dtype, dtype);
  }
  const wide = random.uniform(random.key(6), [n], { low: -3, high: 5 });
  assert.ok(wide.data.every((v) => v >= -3 && v <= 5));
  near(moments(wide)[0], 1, 8 / Math.sqrt(12 * n));
  const fine = random.uniform(random.key(5), [n], { dtype: "float64" });
  assert.ok(fine.data.some((v) => (v * 2 ** 53) % 2 === 1) && fine.data.every((v) => Number.isInteger(v * 2 ** 53)));
});

test("normal numbers have mean 0, deviation 1, no skew, and tails", () => {
  for (const dtype of ["float32", "float64"] as const) {
    const x = random.normal(random.key(11), [n], { dtype });
    const [mean, variance, skew] = moments(x);
    near(mean, 0, 1 / Math.sqrt(n));
    near(variance, 1, Math.sqrt(2 / n));
    near(skew, 0, Math.sqrt(6 / n));
    const beyond = (limit: number): number => [...x.data].filter((v) => Math.abs(v) > limit).length / n;
    near(beyond(1), 0.3173, Math.sqrt(0.3173 / n));
    near(beyond(3), 0.0027, Math.sqrt(0.0027 / n));
  }
});

test("split, fold and draws of one key are independent of each other", () => {
  const key = random.key(9);
  const draws = [...random.split(key, 3), random.fold(key, 0), random.fold(key, 1), key].map((k) =>
    random.normal(k, [n]),
  );
  draws.forEach((a, i) => {
    draws.slice(i + 1).forEach((b) => {
      near(sum(mul(a, b)).item() / n, 0, 1 / Math.sqrt(n));
    });
  });
  const folded = Array.from({ length: 1000 }, (_, i) => String(random.fold(key, i)));
  assert.equal(new Set(folded).size, 1000);
});

test("bits keeps the high bits of each word, and up to 16 those of each quarter of two words", () => {
  const [all, high, halves, low] = [32, 20, 16, 5].map((bits) => random.bits(random.key(2), [102], { bits }));
  const shifted = (x: Tensor, by: number): number[] => [...x.data].map((v) => v >>> by);
  assert.deepEqual(high.toArray(), shifted(all, 12));
  assert.deepEqual(low.toArray(), shifted(halves, 11));
  for (let i = 0; 4 * i + 1 < 102; i++)
    assert.equal(halves.data[4 * i] * 65536 + halves.data[4 * i + 1], all.data[i] >>> 0);
  for (const bits of [0, 33, 1.5]) {
    const message = `random.bits: expected from 1 to 32 bits, got ${bits}`;
    assert.throws(() => random.bits(random.key(2), [1], { bits }), { name: "RangeError", message });
  }
});

test("shapes and numbers of draws are whole and not negative", () => {
  const k = random.key(0);
  const refuses = (call: () => unknown, name: string, message: string): void => assert.throws(call, { name, message });
  const draws: readonly [string, (shape: number[]) => unknown][] = [
    ["bits", (shape) => random.bits(k, shape)],
    ["uniform", (shape) => random.uniform(k, shape)],
    ["uniform", (shape) => random.uniform(k, shape, { dtype: "float64" })],
    ["normal", (shape) => random.normal(k, shape)],
    ["bernoulli", (shape) => random.bernoulli(k, 0.5, shape)],
  ];
  for (const [op, draw] of draws) {
    const expected = `random.${op}: expected sizes that are whole numbers ≥ 0, got`;
    refuses(() => draw([2.5]), "ShapeError", `${expected} (2.5,)`);
    refuses(() => draw([2, -3]), "ShapeError", `${expected} (2, -3)`);
  }
  refuses(() => random.split(k, -1), "RangeError", "random.split: expected n to be a whole number ≥ 0, got -1");
  refuses(
    () => random.permutation(k, 2.5),
    "RangeError",
    "random.permutation: expected n to be a whole number ≥ 0, got 2.5",
  );
  for (const dtype of ["int32", "float16"] as never[]) {
    const expected = "expected float32 or float64, got";
    refuses(() => random.uniform(k, [2], { dtype }), "DTypeError", `random.uniform: ${expected} ${dtype}`);
    refuses(() => random.normal(k, [2], { dtype }), "DTypeError", `random.normal: ${expected} ${dtype}`);
  }
});

test("bernoulli is true as often as p says, element by element", () => {
  const b = random.bernoulli(random.key(4), tensor([0, 0.25, 1]), [n, 3]);
  assert.equal(b.dtype, "bool");
  const [never, quarter, always] = sum(b, { axis: 0 }).data;
  assert.deepEqual([never, always], [0, n]);
  near(quarter / n, 0.25, Math.sqrt(0.1875 / n));
});

test("a permutation has every number once, each place as often as another", () => {
  const p = random.permutation(random.key(8), 50);
  assert.deepEqual(sort(p).toArray(), iota(50).toArray());
  assert.notDeepEqual(p.toArray(), iota(50).toArray());
  const first = Array.from({ length: 3000 }, (_, i) => random.permutation(random.fold(random.key(8), i), 3).data[0]);
  for (const value of [0, 1, 2]) near(first.filter((v) => v === value).length / 3000, 1 / 3, Math.sqrt(2 / 9 / 3000));
  assert.deepEqual(random.permutation(random.key(8), 0).toArray(), []);
});

test("categorical draws each index with its probability, and never one of logit −∞", () => {
  const p = [0.5, 0, 0.2, 0.3];
  const logits = add(zeros([n, 4]), tensor(p.map(Math.log)));
  const drawn = random.categorical(random.key(12), logits);
  assert.deepEqual([drawn.shape, drawn.dtype], [[n], "int32"]);
  p.forEach((expected, i) => {
    const share = [...drawn.data].filter((v) => v === i).length / n;
    near(share, expected, Math.sqrt((expected * (1 - expected)) / n) || 1e-12);
  });
});

test("categorical bears the largest uniform number there is, which element 27 of seed 36283 draws", () => {
  const key = random.key(36283);
  assert.equal(random.uniform(key, [28]).data[27], 1 - 2 ** -24);
  const logits = (at27: number): Tensor => tensor(Float64Array.from({ length: 28 }, (_, i) => (i === 27 ? at27 : 0)));
  assert.equal(random.categorical(key, logits(-10)).item(), 27);
  assert.notEqual(random.categorical(key, logits(-30)).item(), 27);
  assert.notEqual(random.categorical(key, logits(-Infinity)).item(), 27);
});

test("draws may be compiled and mapped over keys, the key and the step being traced", () => {
  const f = (key: Tensor, step: Tensor): Tensor => random.normal(random.fold(key, step), [3]);
  const [key, step] = [random.key(1), tensor(5, { dtype: "int32" })];
  agree("jit", jit(f)(key, step), f(key, step), { tolerance: 1e-6 });
  const keys = tensor(Int32Array.from([1, 2, 3, 4]), { shape: [2, 2] });
  const mapped = vmap((k: Tensor) => random.uniform(k, [3]))(keys);
  agree("vmap", take(mapped, 1), random.uniform(take(keys, 1), [3]));
  const scaled = grad((s: Tensor) => sum(mul(random.normal(key, [3]), s)))(tensor(2));
  agree("grad", scaled, sum(random.normal(key, [3])));
});
