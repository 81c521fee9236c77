import assert from "node:assert/strict";
import { test } from "node:test";
import {
  add,
  checkGradients,
  concat,
  matmul,
  mul,
  random,
  reshape,
  sigmoid,
  slice,
  softmax,
  swapAxes,
  type Tensor,
  tensor,
} from "@fmmformer/autodiff";
import { featureMaps } from "@fmmformer/kernels";
import { agree, agreesWithOracle } from "@fmmformer/kernels/laws";
import * as oracles from "@fmmformer/kernels/oracles";
import {
  type Attention,
  type AttentionOptions,
  attention,
  type FmmParams,
  multiHeadAttention,
  rotary,
} from "@fmmformer/models";
import { shaken } from "./parameters.ts";

const [b, n, width, heads, headWidth] = [2, 7, 6, 3, 4];
const key = random.key(0);
const drawn = (seed: number, shape: readonly number[]): Tensor =>
  random.normal(random.key(seed), shape, { dtype: "float64" });
const x = drawn(1, [b, n, width]);
const [q, k, v] = [2, 3, 4].map((seed) => drawn(seed, [b, heads, n, headWidth]));
const sizes = { width, heads, headWidth, causal: false };

/** Differences are off near 0, where the second derivative of elu jumps. */
const tolerance = { tolerance: 5e-5 };

/** Every kind, with what there is to switch on. */
const kinds: readonly (AttentionOptions & { readonly causal?: boolean })[] = [
  { kind: "softmax" },
  { kind: "softmax", rotary: true, causal: true },
  { kind: "linear" },
  { kind: "linear", kernels: ["elu", "eluFlip", "tanh"], normalizer: "rms", causal: true },
  { kind: "band", bandwidth: 3, relativeBias: true },
  { kind: "band", bandwidth: 3, rotary: true, causal: true },
  { kind: "fmm", bandwidth: 2 },
  { kind: "fmm", bandwidth: 2, relativeBias: true, rotary: true, kernels: ["elu", "softplus"], causal: true },
  { kind: "fmm", bandwidth: 2, blend: "paper", normalizer: "lra" },
  { kind: "fmm", bandwidth: 2, kernels: ["elu", "eluFlip"], blend: channelwise(), normalizer: "copy", causal: true },
  { kind: "fmm", bandwidth: 3, kernels: ["elu", "tanh"], disjoint: true },
  { kind: "fmm", bandwidth: 2, disjoint: true, causal: true },
  { kind: "fmm-fast-weight", bandwidth: 2, kernels: ["elu", "elu"], normalizer: "lm", disjoint: true, causal: true },
  { kind: "fast-weight", causal: true },
  { kind: "fast-weight", kernels: ["elu"], normalizer: "lm", causal: true },
  { kind: "fmm-fast-weight", bandwidth: 2, relativeBias: true, normalizer: "rms", causal: true },
  {
    kind: "fmm-fast-weight",
    bandwidth: 2,
    kernels: ["elu", "elu"],
    normalizer: "lm",
    blend: channelwise(),
    causal: true,
  },
];

function channelwise(): NonNullable<AttentionOptions["blend"]> {
  const channel = { per: "channel", initial: 0.5 } as const;
  return { near: channel, far: "rest", kernels: [channel, { per: "head", initial: 1 }] };
}

function titled({ causal, ...options }: (typeof kinds)[number]): string {
  return `${JSON.stringify(options)}${causal ? ", causal" : ""}`;
}

function layerOf({ causal = false, ...options }: (typeof kinds)[number]) {
  const layer = multiHeadAttention({ width, heads, headWidth, causal, attention: options });
  return { causal, apply: layer.apply, params: shaken(layer.init(key)) };
}

for (const options of kinds) {
  test(`${titled(options)}: gradients of tokens and of all parameters`, () => {
    const { apply, params } = layerOf(options);
    checkGradients((p: typeof params, t: Tensor) => apply(p, t), [params, x], tolerance);
    const mask = tensor([...Array<boolean>(5).fill(true), false, false, ...Array<boolean>(7).fill(true)], {
      shape: [b, n],
    });
    checkGradients((p: typeof params, t: Tensor) => apply(p, t, { mask }), [params, x], tolerance);
  });

  test(`${titled(options)}: ${options.causal ? "no token sees later ones" : "padding changes nothing"}`, () => {
    const { apply, params, causal } = layerOf(options);
    const kept = 4;
    const other = replaced(x, drawn(9, [b, n, width]), kept);
    const mask = tensor(
      Int32Array.from({ length: b * n }, (_, i) => Number(i % n < kept)),
      { shape: [b, n], dtype: "bool" },
    );
    const before = (t: Tensor) => (t.toArray() as number[][][]).map((rows) => rows.slice(0, kept));
    assert.deepEqual(before(apply(params, other, { mask })), before(apply(params, x, { mask })));
    if (causal) assert.deepEqual(before(apply(params, other)), before(apply(params, x)));
    else assert.notDeepEqual(before(apply(params, other)), before(apply(params, x)));
  });
}

/** The first rows of one, the others of another. */
function replaced(from: Tensor, by: Tensor, kept: number): Tensor {
  const data = Float64Array.from(from.data, (value, i) => (Math.floor(i / width) % n < kept ? value : by.data[i]));
  return tensor(data, { shape: from.shape });
}

test("a kind is its dense definition: softmax, linear, band, and both fields by their weights", () => {
  const call = { x };
  const check = (options: AttentionOptions, dense: (p: FmmParams, ...heads: Tensor[]) => Tensor): void => {
    const core = attention(options, sizes) as Attention<FmmParams>;
    const params = shaken(core.init(key));
    agreesWithOracle((p: FmmParams, ...[a, c, e]: Tensor[]) => core.apply(p, a, c, e, call), dense, [params, q, k, v], {
      tolerance: 1e-11,
    });
  };
  const full = (a: Tensor, c: Tensor, e: Tensor): Tensor =>
    matmul(softmax(mul(matmul(a, swapAxes(c, -1, -2)), 1 / Math.sqrt(headWidth))), e);
  const { elu, tanh } = featureMaps;
  check({ kind: "softmax" }, (_, ...heads) => full(...(heads as [Tensor, Tensor, Tensor])));
  check({ kind: "softmax", rotary: true }, (_, a, c, e) => full(rotary(a), rotary(c), e));
  check({ kind: "linear", kernels: ["elu", "tanh"] }, (_, a, c, e) =>
    oracles.farField(a, c, e, { features: [elu, tanh] }),
  );
  check({ kind: "band", bandwidth: 2, relativeBias: true }, (p, a, c, e) =>
    oracles.nearField(a, c, e, { bandwidth: 2, bias: p.near?.bias ?? null }),
  );
  check({ kind: "fmm", bandwidth: 3, rotary: true }, (p, a, c, e) => {
    const [near, far] = [p.blend.near, p.blend.far].map((w) => reshape(w as Tensor, [heads, 1, 1]));
    const band = oracles.nearField(rotary(a), rotary(c), e, { bandwidth: 3 });
    return add(mul(near, band), mul(far, oracles.farField(a, c, e, { features: [elu] })));
  });
  check({ kind: "fmm", bandwidth: 3, disjoint: true }, (p, a, c, e) => {
    const [near, far] = [p.blend.near, p.blend.far].map((w) => reshape(w as Tensor, [heads, 1, 1]));
    const band = oracles.nearField(a, c, e, { bandwidth: 3 });
    return add(mul(near, band), mul(far, oracles.farField(a, c, e, { features: [elu], beyond: 3 })));
  });
  check({ kind: "fmm", bandwidth: 3, blend: "paper" }, (p, a, c, e) => {
    const [near, far] = [p.blend.near, p.blend.far].map((w) => sigmoid(reshape(w as Tensor, [heads, 1, 1])));
    const band = oracles.nearField(a, c, e, { bandwidth: 3 });
    return add(mul(near, band), mul(far, oracles.farField(a, c, e, { features: [elu] })));
  });
});

test("fast weights are the delta rule, token by token", () => {
  const core = attention(
    { kind: "fast-weight", normalizer: "none" },
    { ...sizes, causal: true },
  ) as Attention<FmmParams>;
  const params = core.init(key);
  const weight = params.far?.beta?.weight as Tensor;
  const beta = swapAxes(sigmoid(matmul(x, weight)), -1, -2);
  const map = featureMaps.unitSilu.apply;
  const [expected] = oracles.fastWeight(map(q), map(k), v, beta);
  agree("fast-weight", core.apply(params, q, k, v, { x }), expected, { tolerance: 1e-12 });
});

test("a new model starts near: its first output is that of the band alone", () => {
  const fmm = attention({ kind: "fmm", bandwidth: 3 }, sizes);
  const band = attention({ kind: "band", bandwidth: 3 }, sizes);
  assert.deepEqual(
    fmm.apply(fmm.init(key), q, k, v, { x }).toArray(),
    band.apply(band.init(key), q, k, v, { x }).toArray(),
  );
});

test("a bandwidth of n makes the near field full attention", () => {
  const band = attention({ kind: "band", bandwidth: n }, sizes);
  const full = attention({ kind: "softmax" }, sizes);
  const [near, all] = [band, full].map((core) => core.apply(core.init(key), q, k, v, { x }));
  agree("bandwidth n", near, all, { tolerance: 1e-12 });
});

test("dropout of weights needs a key and a rate", () => {
  for (const kind of ["softmax", "band", "fmm"] as const) {
    const core = attention({ kind, bandwidth: 3, dropout: 0.5 }, sizes);
    const params = core.init(key);
    const plain = core.apply(params, q, k, v, { x });
    assert.notDeepEqual(core.apply(params, q, k, v, { x, key }).toArray(), plain.toArray());
    const none = attention({ kind, bandwidth: 3 }, sizes);
    assert.deepEqual(none.apply(params, q, k, v, { x, key }).toArray(), plain.toArray());
  }
});

test("attention of a user's own takes the place of ours", () => {
  const uniform: Attention<{ scale: Tensor }> = {
    init: () => ({ scale: tensor([2]) }),
    apply: ({ scale }, _, __, values) =>
      mul(scale, matmul(tensor(new Float32Array(n * n).fill(1 / n), { shape: [n, n] }), values)),
  };
  const layer = multiHeadAttention({ width, heads, headWidth, attention: uniform });
  const params = shaken(layer.init(key));
  assert.deepEqual(Object.keys(params.attention as object), ["scale"]);
  checkGradients((p: typeof params, t: Tensor) => layer.apply(p, t), [params, x]);
});

test("a feature map and a rule of a user's own take the place of ours", () => {
  const square = { name: "square", apply: (t: Tensor): Tensor => add(mul(t, t), 0.1) };
  const rule = () => ({ featureNorm: "none", normalizer: "sum", eps: 1e-3, scale: 2 }) as const;
  const core = attention({ kind: "linear", kernels: [square], normalizer: rule }, sizes);
  agree(
    "own kernel",
    core.apply(core.init(key), q, k, v, { x }),
    oracles.farField(q, k, v, { features: [square], ...rule() }),
    { tolerance: 1e-12 },
  );
});

test("disjoint fast weights read what the delta rule had written a band before", () => {
  const options: AttentionOptions = {
    ...{ kind: "fmm-fast-weight", bandwidth: 2, disjoint: true, normalizer: "none", blend: { near: 1, far: 1 } },
  };
  const causal = { ...sizes, causal: true };
  const both = attention(options, causal) as Attention<FmmParams>;
  const params = shaken(both.init(key));
  const { unitSilu } = featureMaps;
  const rates = swapAxes(sigmoid(matmul(x, params.far?.beta?.weight as Tensor)), -1, -2);
  const rows = (t: Tensor, from: number, to: number): Tensor => slice(t, [0, 0, from], [b, heads, to]);
  const before = rows(k, 0, 2);
  const queries = unitSilu.apply(concat([rows(q, 2, n), before], { axis: -2 }));
  const [read] = oracles.fastWeight(queries, unitSilu.apply(k), v, rates);
  const far = concat([mul(rows(v, 0, 2), 0), rows(read, 0, n - 2)], { axis: -2 });
  const near = oracles.nearField(q, k, v, { bandwidth: 2, causal: true });
  agree("both fields", both.apply(params, q, k, v, { x }), add(near, far), { tolerance: 1e-11 });
});

test("what cannot be is refused, with the nearest name", () => {
  const make = (options: object, causal = false) => attention(options as AttentionOptions, { ...sizes, causal });
  const cases: [() => unknown, RegExp][] = [
    [() => make({ kind: "fmmm" }), /^TypeError: attention: expected kind softmax, .*got "fmmm"; did you mean fmm$/],
    [
      () => make({ kind: "fmm", kernels: ["eluflip"] }),
      /^TypeError: attention: expected kernel .*did you mean eluFlip/,
    ],
    [() => make({ kind: "fmm", blend: "near" }), /^TypeError: .*did you mean paper|near-first/],
    [() => make({ kind: "fmm", normalizer: "paperr" }), /^TypeError: .*did you mean paper$/],
    [() => make({ kind: "fmm", bandwith: 5 }), /^TypeError: attention: expected options .*did you mean bandwidth/],
    [() => make({ kind: "band", bandwidth: 0 }), /^RangeError: attention: expected bandwidth .* ≥ 1, got 0/],
    [
      () => make({ kind: "fast-weight" }),
      /^RangeError: attention: expected causal attention for fast weights.*causal: true/,
    ],
    [
      () => make({ kind: "fmm", blend: channelwise() }),
      /^RangeError: attention: expected 2 kernels for the blend, got 1/,
    ],
    [() => make({ kind: "fmm", blend: { near: 0, far: 0 } }), /^RangeError: attention: expected a near or a far field/],
    [
      () => multiHeadAttention({ width: 10, heads: 3, attention: { kind: "fmm" } }),
      /^RangeError: multiHeadAttention: expected heads that divide width=10, got 3; or give headWidth/,
    ],
  ];
  for (const [call, message] of cases)
    assert.throws(call, (error) => message.test(String(error)) || assert.fail(String(error)));
});
