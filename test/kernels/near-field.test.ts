import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import {
  cast,
  checkGradients,
  grad,
  mul,
  random,
  sin,
  sum,
  type Tensor,
  tensor,
  trace,
  vmap,
  zeros,
} from "@fmmformer/autodiff";
import { fullAttention, type NearFieldOptions, nearField, sidesOf } from "@fmmformer/kernels";
import {
  type Attention,
  agree,
  agreesWithOracle,
  commutesWithJit,
  commutesWithVmap,
  distinctSizes,
  hasGradient,
  ignoresPadding,
  isLocal,
  isPure,
  isZeroWhereMasked,
  keys,
  masks,
  narrowBandIsIdentity,
  packedIsSeparate,
  paddedIsSeparate,
  refusesOtherSizes,
  rowsSumToOne,
  staysFinite,
  type Tokens,
  tensors,
  wideBandIsFull,
} from "@fmmformer/kernels/laws";
import * as oracles from "@fmmformer/kernels/oracles";
import fc from "fast-check";

/** One use of the near field: tokens, a second draw of them, and options. */
const uses = fc
  .tuple(distinctSizes(["b", "h", "n", "d", "m"], { max: 6 }), fc.integer({ min: 1, max: 8 }), fc.boolean())
  .chain(([{ b, h, n, d, m }, bandwidth, causal]) => {
    const { left, right } = sidesOf({ bandwidth, causal });
    const tokens = fc.tuple(tensors([b, h, n, d]), tensors([b, h, n, d]), tensors([b, h, n, m]));
    const bias = tensors([h, left + right + 1]);
    return fc.record({
      rule: fc.record({
        bandwidth: fc.constant(bandwidth),
        causal: fc.constant(causal),
        scale: fc.constantFrom(0.3, 1),
      }),
      x: tokens,
      other: tokens,
      bias,
      otherBias: bias,
      mask: fc.constantFrom("bool", "float32", "int32" as const).chain((dtype) => masks([b, n], { dtype })),
      dropout: fc.record({ rate: fc.constantFrom(0.1, 0.5), key: keys() }),
      key: keys(),
    });
  });

type Use = typeof uses extends fc.Arbitrary<infer T> ? T : never;
type WithBias = [q: Tensor, k: Tensor, v: Tensor, bias: Tensor];

const each = (numRuns: number, law: (use: Use) => void): void => fc.assert(fc.property(uses, law), { numRuns });

/** The op as a function of all that it has gradients for. */
const of =
  (op: typeof nearField, options: NearFieldOptions) =>
  (...[q, k, v, bias]: WithBias): Tensor =>
    op(q, k, v, { ...options, bias });

/** The op as attention, for the laws of that. */
const attention =
  (options: NearFieldOptions): Attention =>
  (q, k, v, mask) =>
    nearField(q, k, v, { ...options, mask: mask ?? null });

test("nearField and its pullback agree with dense attention, with causality, mask, bias and dropout in any combination", () =>
  each(60, ({ rule, x, bias, mask, dropout, key }) => {
    for (const options of [{}, { mask }, { dropout }, { mask, dropout }]) {
      const all = { ...rule, ...options };
      agreesWithOracle(of(nearField, all), of(oracles.nearField, all), [...x, bias], { key });
      const plain = (op: typeof nearField) => (q: Tensor, k: Tensor, v: Tensor) => op(q, k, v, all);
      agreesWithOracle(plain(nearField), plain(oracles.nearField), x, { key });
    }
  }));

test("nearField has the gradient that differences show, twice", () =>
  each(20, ({ rule, x, bias, mask, key }) => hasGradient(of(nearField, { ...rule, mask }), [...x, bias], { key })));

test("nearField with dropout has the gradient that differences show, twice: the pullback draws the same mask again", () =>
  each(10, ({ rule, x, bias, dropout, key }) =>
    hasGradient(of(nearField, { ...rule, dropout }), [...x, bias], { key }),
  ));

test("a third derivative through nearField is that which differences show", () => {
  const draw = (seed: number, shape: number[]): Tensor => random.normal(random.key(seed), shape, { dtype: "float64" });
  const args: WithBias = [draw(1, [2, 4, 3]), draw(2, [2, 4, 3]), draw(3, [2, 4, 5]), draw(4, [2, 3])];
  const mask = tensor([true, true, false, true]);
  checkGradients(of(nearField, { bandwidth: 2, mask }), args, { order: 3 });

  const [q, k, v] = args;
  const f = (t: Tensor): Tensor => sum(sin(nearField(mul(t, q), mul(t, k), mul(t, v), { bandwidth: 2, causal: true })));
  checkGradients(grad(grad(grad(f))), [tensor(0.7, { dtype: "float64" })]);
});

test("nearField commutes with vmap, whichever arguments are mapped", () =>
  each(15, ({ rule, x, other, bias, otherBias, mask, key }) => {
    const f = (...[q, k, v, b, m]: [...WithBias, Tensor]): Tensor => nearField(q, k, v, { ...rule, bias: b, mask: m });
    const otherMask = cast(sin(cast(mask, "float32")), mask.dtype);
    const calls: [...WithBias, Tensor][] = [
      [...x, bias, mask],
      [...other, otherBias, otherMask],
    ];
    for (const axes of [
      [0, 0, 0, 0, 0],
      [0, 0, 0, null, null],
      [0, null, 0, 0, null],
      [null, null, null, 0, 0],
    ] as const)
      commutesWithVmap(f, calls, { in: axes, key });
  }));

test("nearField with dropout commutes with vmap: the same key drops the same weights in every call", () =>
  each(15, ({ rule, x, other, bias, otherBias, dropout, key }) =>
    commutesWithVmap(
      of(nearField, { ...rule, dropout }),
      [
        [...x, bias],
        [...other, otherBias],
      ],
      { key },
    ),
  ));

test("nearField commutes with jit", () =>
  each(15, ({ rule, x, bias, mask, dropout, key }) => {
    commutesWithJit(of(nearField, { ...rule, mask }), [...x, bias], { key });
    commutesWithJit(of(nearField, { ...rule, dropout }), [...x, bias], { key });
  }));

test("nearField leaves its arguments as they are", () =>
  each(15, ({ rule, x, bias, mask }) => isPure(of(nearField, { ...rule, mask }), [...x, bias])));

test("rows of nearField sum to 1", () =>
  each(30, ({ rule, x, mask }) => {
    rowsSumToOne(attention(rule), x);
    rowsSumToOne(attention(rule), x, { mask });
  }));

test("a band at least as wide as the sequence is full attention", () =>
  each(30, ({ rule, x, mask, key }) => {
    const full: Attention = (q, k, v, m) => fullAttention(q, k, v, { ...rule, mask: m ?? null });
    const near = (bandwidth: number): Attention => attention({ ...rule, bandwidth });
    wideBandIsFull(near, full, x, { key });
    wideBandIsFull(near, full, x, { key, mask });
  }));

test("bandwidth 1 gives the values", () =>
  each(30, ({ rule, x, key }) => narrowBandIsIdentity((bandwidth) => attention({ ...rule, bandwidth }), x, { key })));

test("tokens outside the band, or later ones when causal, change neither an output nor its gradient", () =>
  each(10, ({ rule, x, key }) => {
    const { left, right } = sidesOf(rule);
    isLocal(attention(rule), x, (i, j) => i - left <= j && j <= i + right, { key });
  }));

test("masked keys change nothing, NaN included", () =>
  each(20, ({ rule, x, mask, key }) => {
    ignoresPadding(attention(rule), x, mask, { key });
    const [q, k, v] = x;
    const hidden = mask.data.findIndex((kept: number) => kept === 0);
    if (hidden < 0) return;
    const [h, n] = k.shape.slice(1, 3);
    const atHidden = (t: Tensor): Tensor => {
      const [batch, token] = [Math.floor(hidden / n), hidden % n];
      const data = Float64Array.from(t.data);
      const width = t.shape[3];
      for (let head = 0; head < h; head++)
        data.fill(Number.NaN, ((batch * h + head) * n + token) * width, ((batch * h + head) * n + token + 1) * width);
      return tensor(data, { shape: t.shape });
    };
    agree("NaN", nearField(q, atHidden(k), atHidden(v), { ...rule, mask }), nearField(q, k, v, { ...rule, mask }));
    staysFinite((y: Tensor) => nearField(y, atHidden(k), atHidden(v), { ...rule, mask }), [q], { key });
  }));

test("rows whose keys are all masked are exactly 0, and so are their gradients", () =>
  each(10, ({ rule, x }) => isZeroWhereMasked(attention(rule), x)));

/** Sequences of different lengths. */
const sequences = fc
  .tuple(
    distinctSizes(["h", "d", "m"]),
    distinctSizes(["first", "second", "third"], { max: 6 }),
    fc.integer({ min: 1, max: 4 }),
    fc.boolean(),
    keys(),
  )
  .chain(([{ h, d, m }, lengths, bandwidth, causal, key]) => {
    const tokens = Object.values(lengths).map((n) =>
      fc.tuple(tensors([1, h, n, d]), tensors([1, h, n, d]), tensors([1, h, n, m])),
    );
    return fc.record({ rule: fc.constant({ bandwidth, causal }), key: fc.constant(key), all: fc.tuple(...tokens) });
  });

test("sequences padded to one length, or packed into one with gaps of bandwidth − 1, give what each gives alone", () =>
  fc.assert(
    fc.property(sequences, ({ rule, all, key }) => {
      paddedIsSeparate(attention(rule), all as Tokens[], { key });
      packedIsSeparate(attention(rule), all as Tokens[], { key, gap: rule.bandwidth - 1 });
    }),
    { numRuns: 20 },
  ));

test("scores of ±10⁴, subnormal numbers and single tokens stay finite", () =>
  each(20, ({ rule, x, mask, key }) => {
    for (const dtype of ["float32", "float64"] as const)
      for (const size of [70, dtype === "float32" ? 1e-42 : 1e-310]) {
        const scaled = x.map((t) => cast(mul(t, size), dtype)) as typeof x;
        staysFinite((...[q, k, v]: Tokens) => nearField(q, k, v, { ...rule, mask, scale: 1 }), scaled, { key });
      }
  }));

test("dropout drops its share of the weights and keeps their mean", () => {
  const n = 400;
  const [q, v] = [zeros([1, 1, n, 2]), tensor(new Float64Array(n).fill(1), { shape: [1, 1, n, 1] })];
  const rate = 0.3;
  const o = nearField(q, q, v, { bandwidth: 6, dropout: { rate, key: random.key(3) } });
  const mean = sum(o).item() / n;
  assert.ok(Math.abs(mean - 1) < 0.03, `mean ${mean}`);
  const single = nearField(q, q, v, { bandwidth: 1, dropout: { rate, key: random.key(4) } });
  const values = new Set(single.data);
  assert.deepEqual([...values].sort(), [0, 1 / (1 - rate)]);
  const dropped = single.data.filter((value: number) => value === 0).length / n;
  assert.ok(Math.abs(dropped - rate) < 0.07, `dropped ${dropped}`);
  agree("no dropout", nearField(q, q, v, { bandwidth: 6, dropout: { rate: 0, key: random.key(3) } }), v, {
    tolerance: 1e-12,
  });
});

test("nearField and its pullback are one equation each, also under vmap, outside of grad or inside", () => {
  const [q, v, mask, bias] = [
    zeros([2, 3, 7, 4]),
    zeros([2, 3, 7, 5]),
    zeros([2, 7], { dtype: "bool" }),
    zeros([3, 5]),
  ];
  const loss = (...[x, y, z, b]: WithBias): Tensor => sum(nearField(x, y, z, { bandwidth: 3, bias: b, mask }));
  const gradient = grad(loss, { argnums: [0, 1, 2, 3] });
  const stacked = zeros([6, 2, 3, 7, 4]);
  const wide = zeros([6, 2, 3, 7, 5]);
  const mapped = { in: [0, 0, 0, null] };
  const total = (...args: WithBias): Tensor => sum(vmap(loss, mapped)(...args));
  for (const program of [
    trace(gradient)(q, q, v, bias),
    trace(vmap(gradient, mapped))(stacked, stacked, wide, bias),
    trace(grad(total, { argnums: [0, 1, 2, 3] }))(stacked, stacked, wide, bias),
  ]) {
    const names = program.equations.map(({ prim, params }) => prim.label?.(params) ?? prim.name);
    const calls = names.filter((name) => name.startsWith("nearField") || name.startsWith("band"));
    assert.deepEqual(calls, ["nearField", "nearField.pullback"], String(program));
  }
});

test("nearField refuses arguments of other sizes", () => {
  const [q, v, mask, bias] = [
    zeros([2, 3, 7, 4]),
    zeros([2, 3, 7, 5]),
    zeros([2, 7], { dtype: "bool" }),
    zeros([3, 5]),
  ];
  refusesOtherSizes(
    (x: Tensor, y: Tensor, z: Tensor, m: Tensor, b: Tensor) => nearField(x, y, z, { bandwidth: 3, mask: m, bias: b }),
    [q, q, v, mask, bias],
    { name: "nearField", free: [[2, 3]] },
  );
  const says = (message: string, f: () => unknown): void => assert.throws(f, { name: "ShapeError", message });
  says("nearField: expected q (…b, h, n, d), got (7, 4)", () => nearField(zeros([7, 4]), q, v, { bandwidth: 3 }));
  says("nearField: expected k (2, h=3, n=7, d=4), got (2, 3, 4, 7)", () =>
    nearField(q, zeros([2, 3, 4, 7]), v, { bandwidth: 3 }),
  );
  says("nearField: expected mask (2, n=7), got (7, 2)", () =>
    nearField(q, q, v, { bandwidth: 3, mask: zeros([7, 2]) }),
  );
  says("nearField: expected bias (h=3, slots=3), got (3, 5)", () =>
    nearField(q, q, v, { bandwidth: 3, causal: true, bias }),
  );
});

test("nearField refuses a bandwidth below 1 and a dropout rate outside [0, 1)", () => {
  const q = zeros([2, 3, 4]);
  const says = (message: string, options: NearFieldOptions): void =>
    assert.throws(() => nearField(q, q, q, options), { name: "RangeError", message });
  says("nearField: expected bandwidth ≥ 1, got 0", { bandwidth: 0 });
  says("nearField: expected bandwidth ≥ 1, got undefined", {} as NearFieldOptions);
  says("nearField: expected a whole bandwidth, got 2.5", { bandwidth: 2.5 });
  says("nearField: expected a dropout rate from 0 to below 1, got 1", {
    bandwidth: 2,
    dropout: { rate: 1, key: random.key(0) },
  });
});

test("forward and backward at n = 65,536, d = 32, bandwidth 6 stay within 512 MB", () => {
  const code = `
    import { random, vjp } from "@fmmformer/autodiff";
    import { nearField } from "@fmmformer/kernels";
    const draw = (seed) => random.uniform(random.key(seed), [1, 1, 65536, 32]);
    const [o, pullback] = vjp((q, k, v) => nearField(q, k, v, { bandwidth: 6 }), draw(1), draw(2), draw(3));
    pullback(o);
    console.log(process.resourceUsage().maxRSS / 1024);
  `;
  const flags = ["--conditions=@fmmformer/source", "--import=tsx", "--input-type=module"];
  const { stdout, stderr } = spawnSync(process.execPath, [...flags, "--eval", code], { encoding: "utf8" });
  const megabytes = Number(stdout);
  assert.ok(megabytes > 0 && megabytes < 512, `${megabytes} MB ${stderr}`);
});
