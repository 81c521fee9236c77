import assert from "node:assert/strict";
import { test } from "node:test";
import {
  add,
  div,
  matmul,
  mul,
  ones,
  random,
  reshape,
  sigmoid,
  sub,
  swapAxes,
  type Tensor,
  vjp,
  zeros,
} from "@fmmformer/autodiff";
import { farFieldPresets, featureMaps, l1Normalized } from "@fmmformer/kernels";
import { agree } from "@fmmformer/kernels/laws";
import * as oracles from "@fmmformer/kernels/oracles";
import {
  type AttentionSizes,
  attention,
  type BlendParams,
  type OfficialConfig,
  officialAttention,
} from "@fmmformer/models";
import { shaken } from "./parameters.ts";

// The released modules, written down once more: each blend a line of arithmetic over dense fields.

const [h, n, d] = [3, 7, 4];
const sizes: AttentionSizes = { width: h * d, heads: h, headWidth: d, causal: false };
const drawn = (seed: number, shape: readonly number[]): Tensor =>
  random.normal(random.key(seed), shape, { dtype: "float64" });
const [q, k, v] = [1, 2, 3].map((seed) => drawn(seed, [2, h, n, d]));
const x = drawn(4, [2, n, h * d]);

/** The learned weights of a module under their released names, ready to multiply (b, h, n, d). */
type Weights = { readonly [name: string]: Tensor };

/** What a module makes of its near field, its far fields and its weights. */
type Mix = (w: Weights, near: Tensor, far: readonly Tensor[]) => Tensor;

const mean = (far: readonly Tensor[]): Tensor => (far.length === 1 ? far[0] : mul(0.5, add(far[0], far[1])));
const chosen = ({ lowrank_ratio: a, lowrank_ratio2: b }: Weights, far: readonly Tensor[]): Tensor =>
  far.length === 1 ? far[0] : add(mul(a, far[0]), mul(b, far[1]));
const besides = ({ lowrank_ratio: b }: Weights, far: readonly Tensor[]): Tensor =>
  far.length === 1 ? far[0] : add(far[0], mul(b, far[1]));

/** Shapes and first values of weights: () is one for a layer, (h) one for a head, (h, d) one for a channel. */
type Start = readonly [shape: readonly number[], value: number];
const layer = (value: number): Start => [[], value];
const head = (value: number): Start => [[h], value];
const channel = (value: number): Start => [[h, d], value];

interface Row {
  readonly mix: Mix;
  readonly starts: { readonly [name: string]: Start };
}

const nearIsWeighed: Mix = ({ sparse_ratio: s }, near, far) => add(mul(s, near), mean(far));
const farIsWeighed: Mix = ({ sparse_ratio: s }, near, far) => add(near, mul(s, mean(far)));
const shared: Mix = ({ sparse_ratio: s }, near, far) => add(mul(s, near), mul(sub(1, s), mean(far)));
const both: Mix = ({ sparse_ratio: s, sparse_ratio2: t }, near, far) => add(mul(s, near), mul(t, mean(far)));

const lra: { readonly [type: string]: Row } = {
  "0.5": { mix: nearIsWeighed, starts: { sparse_ratio: layer(0.5) } },
  "1.5": { mix: farIsWeighed, starts: { sparse_ratio: layer(0.5) } },
  "2.5": { mix: shared, starts: { sparse_ratio: layer(0.5) } },
  "3.5": { mix: nearIsWeighed, starts: { sparse_ratio: channel(0) } },
  "4.5": { mix: farIsWeighed, starts: { sparse_ratio: channel(0) } },
  "5.5": { mix: shared, starts: { sparse_ratio: channel(0) } },
  "6.5": { mix: (_, near) => near, starts: {} },
  "7.5": { mix: (_, __, far) => mean(far), starts: {} },
  "8.5": {
    mix: (w, near, far) => add(mul(w.sparse_ratio, near), chosen(w, far)),
    starts: { sparse_ratio: channel(0), lowrank_ratio: layer(0.5), lowrank_ratio2: layer(0.5) },
  },
  "9.5": {
    mix: (w, near, far) => add(near, mul(w.sparse_ratio, chosen(w, far))),
    starts: { sparse_ratio: channel(0), lowrank_ratio: layer(0.5), lowrank_ratio2: layer(0.5) },
  },
  "10.5": { mix: both, starts: { sparse_ratio: head(0), sparse_ratio2: head(1) } },
  "11.5": { mix: both, starts: { sparse_ratio: head(1), sparse_ratio2: head(0) } },
  "12.5": { mix: farIsWeighed, starts: { sparse_ratio: head(0) } },
  "13.5": {
    mix: (w, near, far) => add(mul(w.sparse_ratio, near), mul(w.sparse_ratio2, chosen(w, far))),
    starts: {
      sparse_ratio: head(1),
      sparse_ratio2: head(0),
      lowrank_ratio: layer(1),
      lowrank_ratio2: layer(0),
    },
  },
  "14.5": {
    mix: (w, near, far) => add(mul(w.sparse_ratio, near), mul(sub(1, w.sparse_ratio), chosen(w, far))),
    starts: { sparse_ratio: layer(0.5), lowrank_ratio: layer(1), lowrank_ratio2: layer(0) },
  },
  "15.5": {
    mix: (w, near, far) => add(mul(w.sparse_ratio, near), mul(sub(1, w.sparse_ratio), besides(w, far))),
    starts: { sparse_ratio: layer(0.5), lowrank_ratio: layer(0) },
  },
  "16.5": {
    mix: (w, near, far) => add(near, mul(w.sparse_ratio, chosen(w, far))),
    starts: { sparse_ratio: channel(0), lowrank_ratio: layer(1), lowrank_ratio2: layer(0) },
  },
  "17.5": {
    mix: (w, near, far) => add(near, mul(w.sparse_ratio, besides(w, far))),
    starts: { sparse_ratio: channel(0), lowrank_ratio: layer(0) },
  },
  "18.5": { mix: nearIsWeighed, starts: { sparse_ratio: head(0) } },
  "19.5": {
    mix: (w, near, far) => add(mul(w.sparse_ratio, near), chosen(w, far)),
    starts: { sparse_ratio: head(0), lowrank_ratio: layer(1), lowrank_ratio2: layer(0) },
  },
};

/** The weights that a module learns, by name, in the form of our parameters and ready to multiply. */
function named(config: OfficialConfig, params: BlendParams): Weights {
  const { names } = officialAttention(config);
  const found: [string, Tensor][] = [];
  if (names.near) found.push([names.near, params.near as Tensor]);
  if (names.far) found.push([names.far, params.far as Tensor]);
  names.kernels?.forEach((name, i) => {
    found.push([name, (params.kernels as Tensor[])[i]]);
  });
  return Object.fromEntries(found.map(([name, w]) => [name, forHeads(w)]));
}

/** (h) as (h, 1, 1), (h, d) as (h, 1, d). */
const forHeads = (w: Tensor): Tensor =>
  w.shape.length === 0 ? w : reshape(w, w.shape.length === 1 ? [h, 1, 1] : [h, 1, d]);

/** Our attention of a released module and its line of arithmetic agree, in value and in every gradient. */
function agrees(config: OfficialConfig, causal: boolean, dense: (w: Weights, params: unknown) => Tensor): void {
  const core = attention(officialAttention(config).attention, { ...sizes, causal });
  const params = shaken(core.init(random.key(5)));
  const g = drawn(6, [2, h, n, d]);
  const [o, pull] = vjp((p: unknown) => core.apply(p, q, k, v, { x }), params);
  const [expected, pullDense] = vjp(
    (p: unknown) => dense(named(config, (p as { blend: BlendParams }).blend), p),
    params,
  );
  agree("released module", o, expected, { tolerance: 1e-12 });
  agree("released module (gradient)", pull(g as never), pullDense(g as never), { tolerance: 1e-11 });
}

function startsAs(config: OfficialConfig, causal: boolean, starts: Row["starts"]): void {
  const core = attention(officialAttention(config).attention, { ...sizes, causal });
  const { blend } = core.init(random.key(5)) as { blend: BlendParams };
  const { names } = officialAttention(config);
  const learned = {
    ...(names.near && { [names.near]: blend.near }),
    ...(names.far && { [names.far]: blend.far }),
    ...Object.fromEntries((names.kernels ?? []).map((name, i) => [name, (blend.kernels as Tensor[])[i]])),
  } as Weights;
  assert.deepEqual(Object.keys(learned).sort(), Object.keys(starts).sort());
  for (const [name, [shape, value]] of Object.entries(starts)) {
    assert.deepEqual(learned[name].shape, shape, name);
    assert.ok(
      learned[name].data.every((w: number) => Math.abs(w - value) < 1e-7),
      name,
    );
  }
}

/** F of one feature map, dense. */
const far = (map: keyof typeof featureMaps, base: "lra" | "lm" | "copy", causal: boolean): Tensor =>
  oracles.farField(q, k, v, { ...farFieldPresets[base]({ n, d }), features: [featureMaps[map]], causal });

const near = (bandwidth: number, causal: boolean): Tensor => oracles.nearField(q, k, v, { bandwidth, causal });

for (const kernels of [["elu"], ["elu", "elu_flip"]]) {
  test(`Long Range Arena: every type of blend, ${kernels.length} kernel${kernels.length > 1 ? "s" : ""}`, () => {
    for (const [type, { mix, starts }] of Object.entries(lra)) {
      const config: OfficialConfig = {
        code: "LRA SparseLowrankAttention",
        sparseRatio: Number(type),
        kernels,
        bandwidth: 3,
      };
      const terms = [far("elu", "lra", false), far("eluFlip", "lra", false)].slice(0, kernels.length);
      agrees(config, false, (w) => mix(w, near(3, false), terms));
      startsAs(config, false, learnedBy(kernels.length, starts));
    }
  });
}

/** The blends that both modules of language models have. */
const sums: { readonly [type: string]: Row } = {
  "0.5": {
    mix: (w, near, far) => add(mul(w.sparse_ratio, near), chosen(w, far)),
    starts: { sparse_ratio: channel(0), lowrank_ratio: layer(0.5), lowrank_ratio2: layer(0.5) },
  },
  "1.5": {
    mix: (w, near, far) => add(near, mul(w.sparse_ratio, chosen(w, far))),
    starts: { sparse_ratio: channel(0), lowrank_ratio: layer(0.5), lowrank_ratio2: layer(0.5) },
  },
  "2.5": { mix: nearIsWeighed, starts: { sparse_ratio: channel(0) } },
  "3.5": {
    mix: (w, near, far) => add(mul(w.sparse_ratio, near), mul(w.sparse_ratio2, chosen(w, far))),
    starts: {
      sparse_ratio: channel(0),
      sparse_ratio2: channel(0),
      lowrank_ratio: layer(0.5),
      lowrank_ratio2: layer(0.5),
    },
  },
  "4.5": { mix: (_, near) => near, starts: {} },
  "5.5": { mix: (_, __, far) => mean(far), starts: {} },
};

/** Those that the module with fast weights has besides. */
const deltas: { readonly [type: string]: Row } = {
  "6.5": { mix: both, starts: { sparse_ratio: channel(0), sparse_ratio2: channel(1) } },
  "7.5": {
    mix: (w, near, far) => add(mul(w.sparse_ratio, near), mul(w.sparse_ratio2, chosen(w, far))),
    starts: { sparse_ratio: channel(0), sparse_ratio2: channel(1), lowrank_ratio: layer(1), lowrank_ratio2: layer(0) },
  },
  "8.5": {
    mix: (w, near, far) => add(mul(w.sparse_ratio, near), mul(w.sparse_ratio2, besides(w, far))),
    starts: { sparse_ratio: channel(0), sparse_ratio2: channel(1), lowrank_ratio: layer(0) },
  },
  "9.5": {
    mix: (w, _, far) => chosen(w, far),
    starts: { lowrank_ratio: layer(1), lowrank_ratio2: layer(0) },
  },
};

test("language models: sums", () => {
  for (const kernels of [["elu"], ["elu", "elu_flip"]]) {
    for (const [type, { mix, starts }] of Object.entries(sums)) {
      const config: OfficialConfig = {
        code: "MultiHeadAttnSparseLowrank",
        sparseRatio: Number(type),
        kernels,
        bandwidth: 4,
      };
      const terms = [far("elu", "lm", true), far("eluFlip", "lm", true)].slice(0, kernels.length);
      agrees(config, true, (w) => mix(w, near(4, true), terms));
      startsAs(config, true, learnedBy(kernels.length, starts));
    }
  }
});

test("language models: fast weights", () => {
  const delta = (params: unknown): Tensor => {
    const { weight } = (params as { far: { beta: { weight: Tensor } } }).far.beta;
    const [features, keys] = [q, k].map((t) => l1Normalized(featureMaps.elu.apply(t)));
    const beta = rates(weight);
    const [o] = oracles.fastWeight(features, keys, v, beta);
    const [z] = oracles.causalProduct(features, keys, ones([2, h, n, 1]), zeros([2, h, d, 1]));
    return div(div(o, add(z, 1e-5)), Math.sqrt(d));
  };
  for (const kernels of [["elu"], ["elu", "elu"], ["elu", "elu_flip"]]) {
    const maps = ["elu", kernels[1] === "elu_flip" ? "eluFlip" : "elu"] as const;
    for (const [type, { mix, starts }] of Object.entries({ ...sums, ...deltas })) {
      const config: OfficialConfig = {
        code: "MultiHeadAttnSparseFastWeight",
        sparseRatio: Number(type),
        kernels,
        bandwidth: 4,
      };
      const terms = (p: unknown): Tensor[] => [delta(p), far(maps[1], "lm", true)].slice(0, kernels.length);
      const isNear = type === "4.5"; // without a far field, no rates are learned
      agrees(config, true, (w, p) => mix(w, near(4, true), isNear ? [] : terms(p)));
      startsAs(config, true, learnedBy(kernels.length, starts));
    }
  }
});

/** Weights of two kernels are not used by one: ours are not there. */
function learnedBy(kernels: number, starts: Row["starts"]): Row["starts"] {
  return Object.fromEntries(Object.entries(starts).filter(([name]) => kernels > 1 || !name.startsWith("lowrank")));
}

/** σ(x W), (b, h, n). */
function rates(weight: Tensor): Tensor {
  return swapAxes(sigmoid(matmul(x, weight)), -1, -2);
}

test("the copy task: any number of its kernels, with a near field and without", () => {
  const maps = ["elu", "eluFlip", "tanh"] as const;
  for (const kernelCount of [0, 1, 2, 3]) {
    for (const sparse of [true, false].filter((s) => s || kernelCount > 0)) {
      const config: OfficialConfig = { code: "CausalFMMAttention", kernelCount, sparse, bandwidth: 3 };
      const terms = maps.slice(0, kernelCount).map((map) => far(map, "copy", true));
      agrees(config, true, (w) =>
        [...(sparse ? [mul(w.W1, near(3, true))] : []), ...terms.map((t, l) => mul(w[`W${l + 2}`], t))].reduce((a, b) =>
          add(a, b),
        ),
      );
      startsAs(config, true, {
        ...(sparse && { W1: channel(0) }),
        ...Object.fromEntries(terms.map((_, l) => [`W${l + 2}`, channel(1 / kernelCount)])),
      });
    }
  }
});

test("what the released code has not is refused by name", () => {
  const config = { code: "LRA SparseLowrankAttention", sparseRatio: 4.5, kernels: ["elu"], bandwidth: 5 } as const;
  assert.throws(() => officialAttention({ ...config, kernels: ["elu_flop"] }), /^TypeError: .*did you mean elu_flip/);
  assert.throws(
    () => officialAttention({ ...config, sparseRatio: 20.5 }),
    /^RangeError: .*expected a sparse_ratio.*20.5/,
  );
  assert.throws(
    () => officialAttention({ ...config, code: "LRA" as never }),
    /^TypeError: .*released module, got "LRA"/,
  );
});
