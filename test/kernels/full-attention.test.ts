import assert from "node:assert/strict";
import { test } from "node:test";
import { cast, mul, ones, onesLike, random, sum, type Tensor, tensor, zeros } from "@fmmformer/autodiff";
import { type FullAttentionOptions, fullAttention } from "@fmmformer/kernels";
import {
  type Attention,
  agree,
  commutesWithJit,
  commutesWithVmap,
  distinctSizes,
  growsLinearly,
  hasGradient,
  ignoresPadding,
  isLocal,
  isPermutationEquivariant,
  isPure,
  isZeroWhereMasked,
  keys,
  masks,
  paddedIsSeparate,
  refusesOtherSizes,
  rowsSumToOne,
  staysFinite,
  type Tokens,
  tensors,
} from "@fmmformer/kernels/laws";
import fc from "fast-check";

const uses = distinctSizes(["b", "h", "n", "d", "m"], { max: 6 }).chain(({ b, h, n, d, m }) => {
  const tokens = fc.tuple(tensors([b, h, n, d]), tensors([b, h, n, d]), tensors([b, h, n, m]));
  return fc.record({
    causal: fc.boolean(),
    scale: fc.constantFrom(0.3, 1),
    x: tokens,
    other: tokens,
    bias: fc.constantFrom([h, n, n], [n, n], [b, 1, 1, n]).chain((shape) => tensors(shape)),
    mask: masks([b, n]),
    key: keys(),
  });
});

type Use = typeof uses extends fc.Arbitrary<infer T> ? T : never;
const each = (numRuns: number, law: (use: Use) => void): void => fc.assert(fc.property(uses, law), { numRuns });

type WithBias = [q: Tensor, k: Tensor, v: Tensor, bias: Tensor];
const of =
  (options: FullAttentionOptions) =>
  (...[q, k, v, bias]: WithBias): Tensor =>
    fullAttention(q, k, v, { ...options, bias });

const attention =
  (options: FullAttentionOptions): Attention =>
  (q, k, v, mask) =>
    fullAttention(q, k, v, { ...options, mask: mask ?? null });

/** Attention entry by entry, its formula in loops. */
function loops([q, k, v]: Tokens, causal: boolean, scale: number, bias: Tensor, mask: Tensor): Tensor {
  const [b, h, n, d] = q.shape;
  const m = v.shape[3];
  const out = new Float64Array(b * h * n * m);
  const biasAt = (...place: number[]): number => {
    const own = place.slice(4 - bias.shape.length);
    return bias.data[own.reduce((at, index, axis) => at * bias.shape[axis] + (bias.shape[axis] === 1 ? 0 : index), 0)];
  };
  for (let z = 0; z < b * h; z++)
    for (let i = 0; i < n; i++) {
      const batch = Math.floor(z / h);
      const weights = Array.from({ length: n }, (_, j) => {
        if (mask.data[batch * n + j] === 0 || (causal && j > i)) return 0;
        let dot = 0;
        for (let c = 0; c < d; c++) dot += q.data[(z * n + i) * d + c] * k.data[(z * n + j) * d + c];
        return Math.exp(scale * dot + biasAt(batch, z % h, i, j));
      });
      const total = weights.reduce((a, w) => a + w, 0);
      if (total === 0) continue;
      for (let c = 0; c < m; c++)
        out[(z * n + i) * m + c] = weights.reduce((a, w, j) => a + (w / total) * v.data[(z * n + j) * m + c], 0);
    }
  return tensor(out, { shape: [b, h, n, m] });
}

test("fullAttention agrees with loops over pairs", () =>
  each(40, ({ causal, scale, x, bias, mask }) =>
    agree("loops", fullAttention(...x, { causal, scale, bias, mask }), loops(x, causal, scale, bias, mask), {
      tolerance: 1e-12,
    }),
  ));

test("fullAttention has the gradient that differences show, twice", () =>
  each(15, ({ causal, scale, x, bias, mask, key }) => hasGradient(of({ causal, scale, mask }), [...x, bias], { key })));

test("fullAttention commutes with vmap and jit", () =>
  each(15, ({ causal, x, other, bias, mask, key }) => {
    const f = of({ causal, mask });
    commutesWithVmap(
      f,
      [
        [...x, bias],
        [...other, bias],
      ],
      { key, in: [0, 0, 0, null] },
    );
    commutesWithJit(f, [...x, bias], { key });
  }));

test("fullAttention leaves its arguments as they are", () =>
  each(15, ({ causal, x, bias, mask }) => isPure(of({ causal, mask }), [...x, bias])));

test("rows of fullAttention sum to 1", () =>
  each(20, ({ causal, x, mask }) => {
    rowsSumToOne(attention({ causal }), x);
    rowsSumToOne(attention({ causal }), x, { mask });
  }));

test("fullAttention does not know positions, unless it is causal: then it knows nothing of later tokens", () =>
  each(10, ({ x, key }) => {
    isPermutationEquivariant(attention({}), x, { key });
    isLocal(attention({ causal: true }), x, (i, j) => j <= i, { key });
  }));

test("masked keys change nothing in fullAttention, and rows without keys are exactly 0", () =>
  each(15, ({ causal, x, mask, key }) => {
    ignoresPadding(attention({ causal }), x, mask, { key });
    isZeroWhereMasked(attention({ causal }), x);
  }));

test("padded sequences give what each gives alone", () =>
  each(15, ({ causal, x, other, key }) => {
    const first = (t: Tensor): Tensor => random.normal(key, [1, ...t.shape.slice(1)], { dtype: "float64" });
    const longer = (t: Tensor): Tensor =>
      random.normal(key, [1, t.shape[1], t.shape[2] + 2, t.shape[3]], { dtype: "float64" });
    paddedIsSeparate(attention({ causal }), [x.map(first) as never, other.map(longer) as never], { key });
  }));

test("scores of ±10⁴ stay finite in fullAttention, in float32 too", () =>
  each(15, ({ causal, x, mask, key }) => {
    for (const dtype of ["float32", "float64"] as const) {
      const large = x.map((t) => cast(mul(t, 70), dtype)) as typeof x;
      staysFinite((...[q, k, v]: Tokens) => fullAttention(q, k, v, { causal, mask, scale: 1 }), large, { key });
    }
  }));

test("fullAttention with dropout has the gradient that differences show, twice: the pullback drops the same weights again", () =>
  each(10, ({ causal, x, bias, mask, key }) => {
    const dropout = { rate: 0.4, key: random.key(3) };
    hasGradient(of({ causal, mask, dropout }), [...x, bias], { key });
  }));

test("fullAttention commutes with vmap whichever of bias and mask are mapped", () =>
  each(10, ({ causal, x, bias, mask, key }) => {
    const f = (b: Tensor, m: Tensor): Tensor => fullAttention(...x, { causal, bias: b, mask: m });
    const calls: [Tensor, Tensor][] = [
      [bias, mask],
      [mul(bias, 0.5), onesLike(mask)],
    ];
    for (const axes of [
      [0, null],
      [null, 0],
      [0, 0],
    ] as const)
      commutesWithVmap(f, calls, { key, in: axes });
  }));

test("dropout keeps the mean of the weights, and the same key drops the same", () => {
  const [n, rate] = [64, 0.25];
  const [q, v] = [zeros([1, 1, n, 2]), tensor(new Float64Array(n).fill(1), { shape: [1, 1, n, 1] })];
  const o = fullAttention(q, q, v, { dropout: { rate, key: random.key(7) } });
  const mean = sum(o).item() / n;
  assert.ok(Math.abs(mean - 1) < 0.05 && Math.abs(mean - 1) > 0, `mean ${mean}`);
  agree("same key", fullAttention(q, q, v, { dropout: { rate, key: random.key(7) } }), o);
});

test("fullAttention refuses arguments of other sizes", () => {
  const [q, v, mask] = [zeros([2, 3, 7, 4]), zeros([2, 3, 7, 5]), zeros([2, 7], { dtype: "bool" })];
  refusesOtherSizes(
    (x: Tensor, y: Tensor, z: Tensor, m: Tensor, b: Tensor) => fullAttention(x, y, z, { mask: m, bias: b }),
    [q, q, v, mask, zeros([3, 7, 7])],
    { name: "fullAttention", free: [[2, 3]] },
  );
  assert.throws(() => fullAttention(q, q, v, { bias: zeros([7, 3]) }), {
    name: "ShapeError",
    message: "fullAttention: expected bias that stretches to (2, h=3, n=7, n=7), got (7, 3)",
  });
  assert.throws(() => fullAttention(q, q, v, { dropout: { rate: -1, key: random.key(0) } }), {
    name: "RangeError",
    message: "fullAttention: expected a dropout rate from 0 to below 1, got -1",
  });
});

test("it does grow with n², which the law of linear growth sees", () => {
  const tokens = (n: number): [Tensor, Tensor, Tensor] => [ones([1, 1, n, 4]), ones([1, 1, n, 4]), ones([1, 1, n, 4])];
  const full = (q: Tensor, k: Tensor, v: Tensor): Tensor => fullAttention(q, k, v);
  assert.throws(() => growsLinearly(full, tokens, 20), /growsLinearly: expected arrays of at most 800 elements for 40/);
});
