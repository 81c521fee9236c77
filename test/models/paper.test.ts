import assert from "node:assert/strict";
import { test } from "node:test";
import { random, reshape, type Tensor, tensor, vjp } from "@fmmformer/autodiff";
import {
  type AttentionOptions,
  attention,
  type BlendParams,
  type OfficialConfig,
  officialAttention,
  preset,
} from "@fmmformer/models";

// The formulas of the paper's code in plain loops over numbers, one head and one token at a time: nothing here is shared with the library.
// Gradients are differences of what the loops give.

const [b, h, n, d] = [2, 2, 5, 3];
const width = h * d;

/** One head of one sequence: (n, d) each, and what made β. */
interface Head {
  readonly q: number[][];
  readonly k: number[][];
  readonly v: number[][];
  readonly beta: number[];
  /** 1 at a token */
  readonly mask: number[];
}

const range = (to: number): number[] => Array.from({ length: to }, (_, i) => i);
const dot = (x: readonly number[], y: readonly number[]): number => x.reduce((total, a, c) => total + a * y[c], 0);
const plus = (rows: readonly number[][]): number[] =>
  range(d).map((c) => rows.reduce((total, row) => total + row[c], 0));
const times = (x: readonly number[], by: number): number[] => x.map((a) => a * by);

/** softmax(q_i·k_j / √d) v_j over the keys that are in the band, in the sequence and no padding. */
function near({ q, k, v, mask }: Head, bandwidth: number, causal: boolean): number[][] {
  return range(n).map((i) => {
    const keys = range(n).filter((j) => Math.abs(i - j) < bandwidth && (!causal || j <= i) && mask[j] === 1);
    const weights = keys.map((j) => Math.exp(dot(q[i], k[j]) / Math.sqrt(d)));
    const total = weights.reduce((a, w) => a + w, 0);
    return total === 0 ? times(v[i], 0) : plus(keys.map((j, at) => times(v[j], weights[at] / total)));
  });
}

type Map = (x: number) => number;
const elu: Map = (x) => (x > 0 ? x + 1 : Math.exp(x));
const eluFlip: Map = (x) => elu(-x);
const tanh: Map = (x) => Math.tanh(x) + 1;
const l1 = (x: readonly number[]): number[] => times(x, 1 / x.reduce((a, c) => a + c, 0));

/** Long Range Arena: φ(q_i) · Σ_j φ(k_j) v_j / √n, padding left out, no normaliser. */
function lraFar({ q, k, v, mask }: Head, map: Map): number[][] {
  return range(n).map((i) =>
    plus(range(n).map((j) => times(v[j], (mask[j] * dot(q[i].map(map), k[j].map(map))) / Math.sqrt(n)))),
  );
}

/** Sums up to i, divided by those of the weights: features add up to 1 where `normed`, the result is scaled. */
function causalFar({ q, k, v }: Head, map: Map, eps: number, scale: number, normed: boolean): number[][] {
  const features = (x: readonly number[]): number[] => (normed ? l1(x.map(map)) : x.map(map));
  return range(n).map((i) => {
    const weights = range(i + 1).map((j) => dot(features(q[i]), features(k[j])));
    const total = weights.reduce((a, w) => a + w, 0) + eps;
    return plus(weights.map((w, j) => times(v[j], (scale * w) / total)));
  });
}

const lmFar = (x: Head, map: Map): number[][] => causalFar(x, map, 1e-5, 1 / Math.sqrt(d), true);
const copyFar = (x: Head, map: Map): number[][] => causalFar(x, map, 1e-6, 1, true);

/** The delta rule, its memory (value, key) written token by token. */
function delta({ q, k, v, beta }: Head): number[][] {
  const memory = range(d).map(() => range(d).map(() => 0));
  const sums = range(d).map(() => 0);
  return range(n).map((i) => {
    const [query, key] = [l1(q[i].map(elu)), l1(k[i].map(elu))];
    const old = memory.map((row) => dot(row, key));
    for (const m of range(d)) for (const c of range(d)) memory[m][c] += beta[i] * (v[i][m] - old[m]) * key[c];
    for (const c of range(d)) sums[c] += key[c];
    return times(
      memory.map((row) => dot(row, query)),
      1 / Math.sqrt(d) / (dot(query, sums) + 1e-5),
    );
  });
}

/** Weights by their released names, at one channel of one head. */
type At = { readonly [name: string]: number };

interface Variant {
  readonly name: string;
  readonly options: AttentionOptions;
  readonly config?: OfficialConfig;
  readonly causal: boolean;
  /** Released name to how many there are and where they start */
  readonly weights: { readonly [name: string]: readonly ["layer" | "head" | "channel", number] };
  readonly fields: (x: Head) => number[][][];
  readonly mix: (w: At, fields: readonly number[]) => number;
}

type Rest = Pick<Variant, "weights" | "fields" | "mix">;

function released(name: string, config: OfficialConfig, causal: boolean, rest: Rest): Variant {
  return { name, options: officialAttention(config).attention, config, causal, ...rest };
}

const channel = (initial: number) => ["channel", initial] as const;
const head = (initial: number) => ["head", initial] as const;
const layer = (initial: number) => ["layer", initial] as const;

const lra = (type: number, kernels: readonly string[], weights: Variant["weights"], mix: Variant["mix"]): Variant =>
  released(
    `Long Range Arena ${type}, ${kernels}`,
    { code: "LRA SparseLowrankAttention", sparseRatio: type, kernels, bandwidth: 2 },
    false,
    { weights, mix, fields: (x) => [near(x, 2, false), ...[elu, eluFlip].map((map) => lraFar(x, map))] },
  );

const both = ["elu", "elu_flip"];
const lraVariants: readonly Variant[] = [
  lra(6.5, ["elu"], {}, (_, [near]) => near),
  lra(7.5, ["elu"], {}, (_, [, f]) => f),
  lra(
    11.5,
    ["elu"],
    { sparse_ratio: head(1), sparse_ratio2: head(0) },
    (w, [near, f]) => w.sparse_ratio * near + w.sparse_ratio2 * f,
  ),
  lra(
    13.5,
    both,
    { sparse_ratio: head(1), sparse_ratio2: head(0), lowrank_ratio: layer(1), lowrank_ratio2: layer(0) },
    (w, [near, f, g]) => w.sparse_ratio * near + w.sparse_ratio2 * (w.lowrank_ratio * f + w.lowrank_ratio2 * g),
  ),
  lra(4.5, ["elu"], { sparse_ratio: channel(0) }, (w, [near, f]) => near + w.sparse_ratio * f),
  lra(4.5, both, { sparse_ratio: channel(0) }, (w, [near, f, g]) => near + w.sparse_ratio * (f / 2 + g / 2)),
  lra(18.5, ["elu"], { sparse_ratio: head(0) }, (w, [near, f]) => w.sparse_ratio * near + f),
  lra(
    19.5,
    both,
    { sparse_ratio: head(0), lowrank_ratio: layer(1), lowrank_ratio2: layer(0) },
    (w, [near, f, g]) => w.sparse_ratio * near + w.lowrank_ratio * f + w.lowrank_ratio2 * g,
  ),
  lra(
    17.5,
    both,
    { sparse_ratio: channel(0), lowrank_ratio: layer(0) },
    (w, [near, f, g]) => near + w.sparse_ratio * (f + w.lowrank_ratio * g),
  ),
  lra(2.5, ["elu"], { sparse_ratio: layer(0.5) }, (w, [near, f]) => w.sparse_ratio * near + (1 - w.sparse_ratio) * f),
  lra(
    15.5,
    both,
    { sparse_ratio: layer(0.5), lowrank_ratio: layer(0) },
    (w, [near, f, g]) => w.sparse_ratio * near + (1 - w.sparse_ratio) * (f + w.lowrank_ratio * g),
  ),
];

const lmRest = (weights: Variant["weights"], mix: Variant["mix"]): Rest => ({
  weights,
  mix,
  fields: (x) => [near(x, 3, true), lmFar(x, elu), lmFar(x, eluFlip), delta(x)],
});
const lowRank = (sparseRatio: number, kernels: readonly string[], rest: Rest): Variant =>
  released(
    `language model ${sparseRatio}, ${kernels}`,
    { code: "MultiHeadAttnSparseLowrank", sparseRatio, kernels, bandwidth: 3 },
    true,
    rest,
  );
const fast = (sparseRatio: number, kernels: readonly string[], rest: Rest): Variant =>
  released(
    `language model, fast weights ${sparseRatio}, ${kernels}`,
    { code: "MultiHeadAttnSparseFastWeight", sparseRatio, kernels, bandwidth: 3 },
    true,
    rest,
  );
const fromPreset = (name: string, causal: boolean, rest: Rest): Variant => ({
  name,
  options: preset(name).attention,
  causal,
  ...rest,
});

const lmVariants: readonly Variant[] = [
  lowRank(
    4.5,
    ["elu"],
    lmRest({}, (_, [near]) => near),
  ),
  lowRank(
    2.5,
    ["elu"],
    lmRest({ sparse_ratio: channel(0) }, (w, [near, f]) => w.sparse_ratio * near + f),
  ),
  lowRank(
    2.5,
    both,
    lmRest({ sparse_ratio: channel(0) }, (w, [near, f, g]) => w.sparse_ratio * near + f / 2 + g / 2),
  ),
  fast(
    6.5,
    ["elu"],
    lmRest(
      { sparse_ratio: channel(0), sparse_ratio2: channel(1) },
      (w, [near, , , fw]) => w.sparse_ratio * near + w.sparse_ratio2 * fw,
    ),
  ),
  fast(
    7.5,
    ["elu", "elu"],
    lmRest(
      { sparse_ratio: channel(0), sparse_ratio2: channel(1), lowrank_ratio: layer(1), lowrank_ratio2: layer(0) },
      (w, [near, f, , fw]) => w.sparse_ratio * near + w.sparse_ratio2 * (w.lowrank_ratio * fw + w.lowrank_ratio2 * f),
    ),
  ),
  fromPreset(
    "lm/linear",
    true,
    lmRest({}, (_, [, f]) => f),
  ),
  fromPreset(
    "lm/fast-weight",
    true,
    lmRest({}, (_, [, , , fw]) => fw),
  ),
];

function copyVariant(kernelCount: number, sparse: boolean): Variant {
  const learned = ["W2", "W3", "W4"].slice(0, kernelCount);
  return released(
    `copy task, ${kernelCount} kernels${sparse ? " and a band" : ""}`,
    { code: "CausalFMMAttention", kernelCount, sparse, bandwidth: 4 },
    true,
    {
      weights: {
        ...(sparse && { W1: channel(0) }),
        ...Object.fromEntries(learned.map((name) => [name, channel(1 / kernelCount)])),
      },
      fields: (x) => [near(x, 4, true), ...[elu, eluFlip, tanh].map((map) => copyFar(x, map))],
      mix: (w, [near, ...far]) =>
        (sparse ? w.W1 * near : 0) + learned.reduce((total, name, l) => total + w[name] * far[l], 0),
    },
  );
}

const copyVariants: readonly Variant[] = [
  ...[1, 2, 3].flatMap((count) => [copyVariant(count, true), copyVariant(count, false)]),
  copyVariant(0, true),
  fromPreset("copy/linear", true, {
    weights: {},
    fields: (x) => [causalFar(x, elu, 1e-6, 1, false)],
    mix: (_, [f]) => f,
  }),
  fromPreset("copy/softmax", true, { weights: {}, fields: (x) => [near(x, n, true)], mix: (_, [full]) => full }),
];

/** Everything that is differentiated, flat, by name: q, k, v (b, h, n, d), what makes β (width, h), and weights. */
type Numbers = Readonly<Record<string, number[]>>;

const drawn = (seed: number, size: number): number[] =>
  Array.from(random.normal(random.key(seed), [size], { dtype: "float64" }).data);
const x = drawn(9, b * n * width);
const cotangent = drawn(10, b * h * n * d);
const sizes = { layer: 1, head: h, channel: h * d };

/** Some keys are padding, where attention is not causal. */
const maskOf = (causal: boolean): number[] => range(b * n).map((at) => Number(causal || at < n || at % n < 3));

/** What the loops make of the numbers, (b, h, n, d) flat. */
function byLoops({ weights, fields, mix, causal }: Variant, given: Numbers): number[] {
  const mask = maskOf(causal);
  return range(b * h).flatMap((at) => {
    const [sequence, own] = [Math.floor(at / h), at % h];
    const rows = (name: string): number[][] =>
      range(n).map((i) => given[name].slice((at * n + i) * d, (at * n + i + 1) * d));
    const beta = range(n).map((i) => {
      const token = x.slice((sequence * n + i) * width, (sequence * n + i + 1) * width);
      return (
        1 /
        (1 +
          Math.exp(
            -dot(
              token,
              range(width).map((c) => given.beta[c * h + own]),
            ),
          ))
      );
    });
    const tokens = {
      q: rows("q"),
      k: rows("k"),
      v: rows("v"),
      beta,
      mask: mask.slice(sequence * n, (sequence + 1) * n),
    };
    const found = fields(tokens);
    return range(n * d).map((place) => {
      const [i, c] = [Math.floor(place / d), place % d];
      const at = Object.entries(weights).map(([name, [per]]) => {
        const index = { layer: 0, head: own, channel: own * d + c }[per];
        return [name, given[name][index]] as const;
      });
      return mix(
        Object.fromEntries(at),
        found.map((field) => field[i][c]),
      );
    });
  });
}

/** Our attention, as a function of the same numbers. */
function ours({ options, config, causal }: Variant, given: Readonly<Record<string, Tensor>>): Tensor {
  const core = attention(options, { width, heads: h, headWidth: d, causal });
  const fresh = core.init(random.key(0)) as { far?: object; blend?: BlendParams };
  const like = fresh.blend ?? {};
  const names = config ? officialAttention(config).names : {};
  const as = (name: string, { shape }: Tensor): Tensor => reshape(given[name], shape);
  const params = {
    ...fresh,
    ...(fresh.far && "beta" in fresh.far && { far: { beta: { weight: reshape(given.beta, [width, h]) } } }),
    blend: {
      ...(names.near && { near: as(names.near, like.near as Tensor) }),
      ...(names.far && { far: as(names.far, like.far as Tensor) }),
      ...(names.kernels && { kernels: names.kernels.map((name, l) => as(name, (like.kernels as Tensor[])[l])) }),
    },
  };
  const [q, k, v] = ["q", "k", "v"].map((name) => reshape(given[name], [b, h, n, d]));
  const mask = causal ? null : tensor(maskOf(causal), { shape: [b, n] });
  return core.apply(params, q, k, v, { x: tensor(Float64Array.from(x), { shape: [b, n, width] }), mask });
}

function numbersOf({ weights }: Variant): Numbers {
  const size = b * h * n * d;
  return {
    q: drawn(1, size),
    k: drawn(2, size),
    v: drawn(3, size),
    beta: drawn(4, width * h),
    ...Object.fromEntries(Object.entries(weights).map(([name, [per]], i) => [name, drawn(20 + i, sizes[per])])),
  };
}

/** The gradient of Σ loops · cotangent by differences of fourth order. */
function gradientByLoops(variant: Variant, given: Numbers, name: string): number[] {
  const step = 1e-3;
  const at = (i: number, by: number): number => {
    const moved = given[name].slice();
    moved[i] += by;
    return dot(byLoops(variant, { ...given, [name]: moved }), cotangent);
  };
  return given[name].map(
    (_, i) => (8 * (at(i, step) - at(i, -step)) - (at(i, 2 * step) - at(i, -2 * step))) / (12 * step),
  );
}

function closeTo(name: string, actual: ArrayLike<number>, expected: readonly number[], tolerance: number): void {
  const largest = Math.max(...expected.map(Math.abs), 1e-3);
  assert.equal(actual.length, expected.length, name);
  for (const [i, y] of expected.entries()) {
    assert.ok(Math.abs(actual[i] - y) <= tolerance * largest, `${name}[${i}]: expected ${y}, got ${actual[i]}`);
  }
}

for (const variant of [...lraVariants, ...lmVariants, ...copyVariants]) {
  test(`${variant.name}: values and the gradient of everything are those of the loops`, () => {
    const given = numbersOf(variant);
    const tensors = Object.fromEntries(
      Object.entries(given).map(([name, values]) => [name, tensor(Float64Array.from(values))]),
    );
    const [o, pull] = vjp((all: typeof tensors) => ours(variant, all), tensors);
    closeTo("value", o.data, byLoops(variant, given), 1e-12);
    const [grads] = pull(tensor(Float64Array.from(cotangent), { shape: o.shape }));
    for (const name of Object.keys(given)) closeTo(name, grads[name].data, gradientByLoops(variant, given, name), 1e-8);
  });

  test(`${variant.name}: weights start as released, and there are no others`, () => {
    const core = attention(variant.options, { width, heads: h, headWidth: d, causal: variant.causal });
    const { blend = {} } = core.init(random.key(0)) as { blend?: BlendParams };
    const names = variant.config ? officialAttention(variant.config).names : {};
    const learned: [string | undefined, Tensor | undefined][] = [
      [names.near, blend.near],
      [names.far, blend.far],
      ...(blend.kernels ?? []).map((w, l): [string | undefined, Tensor] => [names.kernels?.[l], w]),
    ];
    const found = learned.flatMap(([name, w]) => (w ? [[name, w.size, w.data[0], new Set(w.data).size]] : []));
    const expected = Object.entries(variant.weights).map(([name, [per, start]]) => [
      name,
      sizes[per],
      Math.fround(start),
      1,
    ]);
    assert.deepEqual(found, expected);
  });
}
