import assert from "node:assert/strict";
import { test } from "node:test";
import {
  add,
  cast,
  exp,
  iota,
  jit,
  less,
  mul,
  ones,
  random,
  reshape,
  sigmoid,
  swapAxes,
  type Tensor,
  tensor,
  vjp,
} from "@fmmformer/autodiff";
import {
  adamUpdate,
  causalProduct,
  dropout,
  farField,
  fastWeight,
  featureMaps,
  fullAttention,
  gelu,
  layerNorm,
  nearField,
  rmsNorm,
  softmaxCrossEntropy,
} from "@fmmformer/kernels";
import { agree, runsAlike } from "@fmmformer/kernels/laws";
import { wasm } from "@fmmformer/kernels/wasm";
import fc from "fast-check";

// Law 8 for every composed op in float32: its kernels compute what its decomposition says, and the same bits on any number of threads.

const engines = [wasm(), wasm({ threads: 2 }), wasm({ threads: 3 })];

/** Sizes up to those of several units of work, few of them large. */
const sizes = fc.record({
  b: fc.integer({ min: 1, max: 2 }),
  h: fc.integer({ min: 1, max: 3 }),
  n: fc.oneof(
    { arbitrary: fc.integer({ min: 1, max: 40 }), weight: 5 },
    { arbitrary: fc.integer({ min: 250, max: 600 }), weight: 1 },
  ),
  d: fc.constantFrom<number[]>(1, 3, 4, 8, 16, 17, 28),
  m: fc.constantFrom<number[]>(1, 2, 4, 8, 16, 19, 28),
  seed: fc.integer({ min: 0, max: 2 ** 30 }),
  /** Whether heads lie interleaved, as a linear map gives them */
  interleaved: fc.boolean(),
});

type Sizes = typeof sizes extends fc.Arbitrary<infer T> ? T : never;

/** Tokens in heads, (b, h, n, width) or (b, n, h, width) with a function that sees them as the first. */
function heads({ b, h, n, seed, interleaved }: Sizes, width: number, at: number): Tensor {
  return random.normal(random.fold(random.key(seed), at), interleaved ? [b, n, h, width] : [b, h, n, width]);
}

function inHeads({ interleaved }: Sizes): (x: Tensor) => Tensor {
  return interleaved ? (x) => swapAxes(x, 1, 2) : (x) => x;
}

function maskOf({ b, n, seed }: Sizes): Tensor {
  return less(random.uniform(random.fold(random.key(seed), 99), [b, n]), 0.7);
}

const runs = { numRuns: 20 };

const normal = (seed: number, shape: readonly number[]): Tensor => random.normal(random.key(seed), shape);

test("the near field", () => {
  const options = fc.record({
    bandwidth: fc.constantFrom(1, 2, 3, 5, 6, 11, 40),
    causal: fc.boolean(),
    masked: fc.boolean(),
    biased: fc.boolean(),
    drops: fc.boolean(),
  });
  const law = fc.property(sizes, options, (s, { masked, biased, drops, ...rule }) => {
    const view = inHeads(s);
    const mask = masked ? maskOf(s) : null;
    const slots = rule.causal ? rule.bandwidth : 2 * rule.bandwidth - 1;
    const bias = random.normal(random.key(s.seed + 7), [s.h, slots]);
    const dropout = drops ? { rate: 0.3, key: random.key(s.seed + 8) } : null;
    const op = (q: Tensor, k: Tensor, v: Tensor, b: Tensor): Tensor =>
      nearField(view(q), view(k), view(v), { ...rule, mask, bias: biased ? b : null, dropout });
    runsAlike(op, [heads(s, s.d, 0), heads(s, s.d, 1), heads(s, s.m, 2), bias], engines, { tolerance: 1e-5 });
  });
  fc.assert(law, runs);
});

test("the near field under a wide band, and with dropout", () => {
  const q = random.normal(random.key(1), [1, 1, 300, 8]);
  const wide = (x: Tensor, y: Tensor, z: Tensor): Tensor => nearField(x, y, z, { bandwidth: 150 });
  runsAlike(wide, [q, mul(q, 0.5), mul(q, 2)], engines, { tolerance: 1e-5 });
  const dropout = { rate: 0.3, key: random.key(5) };
  for (const bandwidth of [4, 100]) {
    const dropped = (x: Tensor): Tensor => nearField(x, x, x, { bandwidth, dropout });
    runsAlike(dropped, [q], engines, { tolerance: 1e-5 });
  }
});

test("the near field of padded sequences under narrow bands, with heads side by side that are taken together or not", () => {
  // Blocks are of 64 queries: what some of them see lies in the block before them, or in that behind.
  const n = 150;
  const shown = [
    [0, 150],
    [0, 64],
    [128, 150],
    [0, 0],
  ];
  const b = shown.length;
  const mask = tensor(shown.map(([first, end]) => Array.from({ length: n }, (_, j) => first <= j && j < end)));
  const swap = (x: Tensor): Tensor => swapAxes(x, 1, 2);
  const draw = (at: number, shape: readonly number[]): Tensor => random.normal(random.key(at), shape);
  for (const [h, d, m, bandwidth, causal] of [
    [2, 32, 32, 5, false],
    [4, 16, 16, 20, true],
    [6, 50, 50, 2, false], // 300 numbers: 3 heads together
    [5, 60, 60, 5, true], // each on its own
    [3, 6, 7, 1, false],
    [2, 5, 4, 4, false],
  ] as const) {
    const rule = { bandwidth, causal, mask, dropout: { rate: 0.3, key: random.key(bandwidth) } };
    const op = (q: Tensor, k: Tensor, v: Tensor, bias: Tensor): Tensor =>
      nearField(swap(q), swap(k), swap(v), { ...rule, bias });
    const [q, k, v] = [draw(1, [b, n, h, d]), draw(2, [b, n, h, d]), draw(3, [b, n, h, m])];
    const bias = draw(4, [h, causal ? bandwidth : 2 * bandwidth - 1]);
    runsAlike(op, [q, k, v, bias], engines, { tolerance: 1e-5 });
  }
});

test("the far field", () => {
  const options = fc.record({
    causal: fc.boolean(),
    masked: fc.boolean(),
    beyond: fc.constantFrom(0, 0, 1, 5),
    normalizer: fc.constantFrom("none", "sum", "rms") as fc.Arbitrary<"none" | "sum" | "rms">,
    maps: fc.constantFrom(["elu"], ["elu", "tanh"], ["sigmoid"]) as fc.Arbitrary<(keyof typeof featureMaps)[]>,
    eps: fc.constantFrom(0, 1e-6),
  });
  // A root mean square of one number leaves its sign alone, and one of two is close to 0 somewhere in many tokens: its derivative is then a
  // difference of equals, in which the value rules themselves lose 7e-6.
  const several = fc
    .tuple(sizes, options)
    .map(([s, o]) => [o.normalizer === "rms" ? { ...s, m: s.m + (s.n > 40 ? 2 : 1) } : s, o] as const);
  const law = fc.property(several, ([s, { masked, maps, ...rule }]) => {
    const view = inHeads(s);
    const mask = masked ? maskOf(s) : null;
    const features = maps.map((name) => featureMaps[name]);
    const op = (q: Tensor, k: Tensor, v: Tensor): unknown =>
      rule.beyond > 0
        ? farField(view(q), view(k), view(v), { ...rule, features, mask })
        : farField(view(q), view(k), view(v), { ...rule, features, mask, returnState: true });
    runsAlike(op, [heads(s, s.d, 0), heads(s, s.d, 1), heads(s, s.m, 2)], engines, { tolerance: 1e-5 });
  });
  fc.assert(law, runs);
});

type FarArgs = [q: Tensor, k: Tensor, v: Tensor, state: Tensor];

/** A causal far field of three maps from a state on, and tokens for it, (b, h, n, f) and (b, h, n, m) or heads interleaved. */
function causalField(
  [b, h, n, f, m]: readonly number[],
  given: { readonly masked: boolean; readonly interleaved: boolean; readonly normalizer: "none" | "sum" },
): { readonly op: (...args: FarArgs) => [o: Tensor, state: Tensor]; readonly args: FarArgs } {
  const s = { b, h, n, d: f, m, seed: n + f, interleaved: given.interleaved };
  const view = inHeads(s);
  const features = [featureMaps.elu, featureMaps.tanh, featureMaps.eluFlip];
  const rule = { features, causal: true, normalizer: given.normalizer, mask: given.masked ? maskOf(s) : null } as const;
  const state = sigmoid(random.normal(random.key(n), [b, h, features.length, f, m + 1]));
  return {
    op: (q, k, v, state) => farField(view(q), view(k), view(v), { ...rule, state, returnState: true }),
    args: [heads(s, f, 0), heads(s, f, 1), heads(s, m, 2), state],
  };
}

test("the causal far field over chunks and segments, from a state on", () => {
  const sizes = [
    [1, 2, 0, 3, 2],
    [1, 2, 1, 3, 5],
    [2, 3, 5, 6, 2],
    [2, 2, 16, 8, 4],
    [2, 4, 33, 5, 7],
    [1, 2, 300, 7, 3],
    [1, 1, 513, 9, 17],
    [2, 4, 513, 3, 1],
  ];
  for (const [i, size] of sizes.entries()) {
    for (const normalizer of ["sum", "none"] as const) {
      const masked = i % 2 === 0;
      const interleaved = masked === (normalizer === "sum");
      const { op, args } = causalField(size, { masked, interleaved, normalizer });
      runsAlike(op, args, engines, { tolerance: 1e-5 });
    }
  }
});

test("in a plan the causal far field and its pullback are their own kernels", () => {
  const { op, args } = causalField([1, 2, 300, 5, 6], { masked: false, interleaved: true, normalizer: "sum" });
  const run = jit((...given: FarArgs) => vjp(op, ...given)[1](op(...given)), { engine: engines[0] });
  run(...args);
  const kinds = run.stats()!.kinds.map(({ kind }) => kind);
  assert.ok(kinds.includes("farField (read)") && kinds.includes("farField.pullback"), kinds.join(", "));
  assert.ok(!kinds.some((kind) => kind.startsWith("causalProduct")), kinds.join(", "));
});

test("each cotangent of the causal far field alone, and those of its cotangents", () => {
  for (const n of [33, 300]) {
    const { op, args } = causalField([1, 2, n, 5, 6], { masked: true, interleaved: true, normalizer: "sum" });
    for (const at of args.keys()) {
      runsAlike((x: Tensor) => op(...(args.with(at, x) as FarArgs)), [args[at]], engines, { tolerance: 1e-5 });
    }
  }
  const { op, args } = causalField([1, 2, 33, 5, 6], { masked: true, interleaved: true, normalizer: "sum" });
  const pulled = (...given: FarArgs): unknown => {
    const [y, pull] = vjp(op, ...given);
    return pull(y);
  };
  runsAlike(pulled, args, engines, { tolerance: 1e-5 });
});

test("the causal far field at its extremes: large and tiny features, nothing to attend to, no ε", () => {
  const { elu, plainTanh, sigmoid } = featureMaps;
  const x = random.normal(random.key(3), [1, 2, 40, 6]);
  for (const features of [[elu], [plainTanh], [sigmoid, elu]]) {
    for (const scale of [1e4, 1e-30]) {
      const op = (q: Tensor): Tensor => farField(q, q, q, { features, causal: true });
      runsAlike(op, [mul(x, scale)], engines, { tolerance: 1e-5 });
    }
  }
  const none = less(ones([1, 40]), 0);
  const op = (q: Tensor): Tensor => farField(q, q, q, { features: [elu], causal: true, mask: none, eps: 0 });
  for (const engine of engines) {
    const both = jit((q: Tensor) => vjp(op, q)[1](q), { engine })(x);
    for (const y of [jit(op, { engine })(x), ...both]) assert.ok(y.data.every((value: number) => value === 0));
  }
});

test("full attention", () => {
  const options = fc.record({
    causal: fc.boolean(),
    masked: fc.boolean(),
    bias: fc.constantFrom("none", "n", "hn", "bn"),
    drops: fc.boolean(),
  });
  const small = sizes.map((s) => ({ ...s, n: Math.min(s.n, 70) }));
  const law = fc.property(small, options, (s, { causal, masked, bias, drops }) => {
    const view = inHeads(s);
    const mask = masked ? maskOf(s) : null;
    const { b, h, n } = s;
    const dropout = drops ? { rate: 0.3, key: random.key(s.seed + 8) } : null;
    const shape = { none: [1], n: [n, n], hn: [h, n, n], bn: [b, 1, 1, n] }[bias] as number[];
    const op = (q: Tensor, k: Tensor, v: Tensor, added: Tensor): Tensor =>
      fullAttention(view(q), view(k), view(v), { causal, mask, bias: bias === "none" ? null : added, dropout });
    const args: [Tensor, Tensor, Tensor, Tensor] = [
      heads(s, s.d, 0),
      heads(s, s.d, 1),
      heads(s, s.m, 2),
      random.normal(random.key(s.seed), shape),
    ];
    runsAlike(op, args, engines, { tolerance: 1e-5 });
  });
  fc.assert(law, runs);
});

test("fast weights and causal products", () => {
  const law = fc.property(sizes, fc.boolean(), (s, reverse) => {
    const [q, k, v] = [
      heads({ ...s, interleaved: false }, s.d, 0),
      heads({ ...s, interleaved: false }, s.d, 1),
      heads({ ...s, interleaved: false }, s.m, 2),
    ];
    runsAlike((x: Tensor, y: Tensor, z: Tensor) => causalProduct(x, y, z, null, { reverse }), [q, k, v], engines, {
      tolerance: 1e-5,
    });
    const unit = (x: Tensor): Tensor => featureMaps.unitSilu.apply(x);
    const beta = random.normal(random.key(s.seed + 3), [s.b, s.h, s.n]);
    const delta = (x: Tensor, y: Tensor, z: Tensor, t: Tensor): Tensor =>
      fastWeight(unit(x), unit(y), z, sigmoid(t), { chunk: 16 });
    if (s.n <= 40) runsAlike(delta, [q, k, v, beta], engines, { tolerance: 1e-4 });
  });
  fc.assert(law, { numRuns: 10 });
});

test("layers: norms, cross-entropy, dropout, Adam", () => {
  const rows = fc.record({
    rows: fc.integer({ min: 1, max: 300 }),
    c: fc.integer({ min: 2, max: 70 }),
    seed: fc.integer({ min: 0, max: 1e6 }),
  });
  const law = fc.property(rows, ({ rows, c, seed }) => {
    const drawn = (at: number, shape: number[]): Tensor => random.normal(random.fold(random.key(seed), at), shape);
    const [x, gain, bias] = [drawn(0, [rows, c]), drawn(1, [c]), drawn(2, [c])];
    runsAlike((t: Tensor, u: Tensor, w: Tensor) => layerNorm(t, u, w), [x, gain, bias], engines, { tolerance: 1e-4 });
    runsAlike((t: Tensor, u: Tensor) => rmsNorm(t, u), [x, gain], engines, { tolerance: 1e-4 });
    const labels = cast(mul(random.uniform(random.key(seed), [rows]), c), "int32");
    // Beside the logits, in whose digits a loss near 0 is lost.
    const losses = (t: Tensor): Tensor[] => [softmaxCrossEntropy(mul(t, 30), labels), mul(t, 30)];
    runsAlike(losses, [x], engines, { tolerance: 1e-5 });
    runsAlike((t: Tensor) => gelu(mul(t, 3)), [x], engines, { tolerance: 1e-6 });
    runsAlike((t: Tensor) => dropout(t, { rate: 0.4, key: random.key(seed) }), [x], engines, { tolerance: 1e-6 });
    const square = mul(x, x);
    const adam = (g: Tensor, step: Tensor): unknown => adamUpdate(g, x, square, { step });
    runsAlike(adam, [x, ones([])], engines, { tolerance: 1e-4 });
  });
  fc.assert(law, { numRuns: 12 });
});

test("integers are promoted before a kernel sees them", () => {
  const x = add(reshape(iota(12), [3, 4]), 1);
  const ops: ((t: Tensor) => Tensor)[] = [
    (t) => layerNorm(t, ones([4]), ones([4])),
    (t) => gelu(t),
    (t) => featureMaps.elu.apply(t),
    (t) => softmaxCrossEntropy(t, iota(3)),
    (t) => nearField(reshape(t, [1, 3, 4]), reshape(t, [1, 3, 4]), ones([1, 3, 2]), { bandwidth: 2 }),
  ];
  for (const f of ops) agree("integers", jit(f, { engine: engines[0] })(x), f(x), { tolerance: 1e-6 });
});

test("gelu is read beside other ops, and beside its own pullback", () => {
  const x = random.normal(random.key(1), [3, 5]);
  runsAlike((t: Tensor) => [gelu(t), add(gelu(t), t), mul(gelu(t), exp(t))], [x], engines, { tolerance: 1e-6 });
});

test("a bias has its gradient where a mask of floats is differentiated too, and gets none", () => {
  const q = random.normal(random.key(1), [1, 2, 6, 4]);
  const given = { mask: tensor([[1, 1, 0, 1, 1, 0]]), near: normal(2, [2, 3]), full: normal(3, [2, 6, 6]) };
  const near = ({ mask, near: bias }: typeof given): Tensor => nearField(q, q, q, { bandwidth: 2, mask, bias });
  const full = ({ mask, full: bias }: typeof given): Tensor => fullAttention(q, q, q, { mask, bias });
  for (const f of [near, full]) runsAlike(f, [given], engines, { tolerance: 1e-5 });
});

test("a label that is no class and a row that is not there are told as the value rules tell them", () => {
  const [logits, labels] = [ones([2, 3]), cast(mul(ones([2]), 3), "int32")];
  const loss = jit((x: Tensor, y: Tensor) => softmaxCrossEntropy(x, y), { engine: engines[1] });
  assert.throws(() => loss(logits, labels), /^RangeError: take: expected indices from 0 to 2, got 3; /);
  assert.throws(() => softmaxCrossEntropy(logits, labels), /^RangeError: take: expected indices from 0 to 2, got 3; /);
});
