import assert from "node:assert/strict";
import { test } from "node:test";
import { add, mul, random, type Tensor } from "@fmmformer/autodiff";
import { farFieldPresets, featureMaps, fullAttention } from "@fmmformer/kernels";
import { agree } from "@fmmformer/kernels/laws";
import * as oracles from "@fmmformer/kernels/oracles";
import {
  attention,
  blends,
  type EncoderParams,
  fmmformer,
  type LayerNormParams,
  type LinearParams,
  parameterCount,
  parameterCountOf,
  preset,
  presets,
  type TokenLabellerParams,
} from "@fmmformer/models";

const key = random.key(0);

/** Parameters of the models of Long Range Arena as the paper's code has them, by row. */
const lraCounts: { readonly [task: string]: readonly number[] } = {
  listops: [209_802, 209_802, 209_802, 209_810, 209_814],
  text: [370_562, 370_562, 370_562, 370_690, 370_690],
  retrieval: [395_138, 395_138, 395_138, 395_142, 395_146],
  image: [174_986, 174_986, 174_986, 175_114, 175_116],
  pathfinder: [173_954, 173_954, 173_954, 173_956, 173_958],
};
const lraRows = ["softmax", "linear", "band5", "fmm-1-kernel-band5", "fmm-2-kernel-band5"];

test("every row of the paper's experiments has a preset, and nothing else has", () => {
  const copyRows = [1, 2, 3].flatMap((r) =>
    ["", "-band10", "-band20", "-band30"].map((band) => `fmm-${r}-kernel${band}`),
  );
  const expected = [
    ...Object.keys(lraCounts).flatMap((task) => lraRows.map((row) => `${task}/${row}`)),
    "lm/softmax",
    "lm/linear",
    "lm/fast-weight",
    "lm/band5",
    "lm/band20",
    "lm/fmm-1-kernel-band5",
    "lm/fmm-1-kernel-band20",
    "lm/fmm-2-kernel-band20",
    "lm/fmm-1-kernel-fast-weight-band20",
    "lm/fmm-2-kernel-fast-weight-band20",
    ...["softmax", "linear", "band10", "band20", "band30", ...copyRows].map((row) => `copy/${row}`),
  ];
  assert.deepEqual(presets.map(({ name }) => name).sort(), expected.sort());
  for (const { name, task } of presets) assert.equal(name.split("/")[0], task);
});

/** (inputs, outputs) with a bias, and without. */
const affine = (inputs: number, outputs: number): number => (inputs + 1) * outputs;
const matrix = (inputs: number, outputs: number): number => inputs * outputs;

/** What the attention of a row learns in one layer: blend weights by head and channel, and what makes β. */
function learnedByAttention(row: string, channels: number, width: number): number {
  const [, kernels] = /fmm-(\d)-kernel/.exec(row) ?? [];
  const beta = row.includes("fast-weight") ? matrix(width, 8) : 0;
  if (kernels === undefined) return beta;
  if (row.includes("fast-weight")) return beta + 2 * channels + (kernels === "2" ? 2 : 0);
  return channels;
}

/** Language models by hand: 44.0 million, of which 34.3 are the table. */
function lmCount(row: string): number {
  const [words, c, channels, e, layers] = [267_735, 128, 8 * 16, 2048, 16];
  const table = words * c;
  assert.equal(table, 34_270_080);
  const softmax = words + affine(c, 3); // a bias for each word; a row and a bias for each of three tails
  const attend = matrix(c, 3 * channels) + matrix(channels, c) + learnedByAttention(row, channels, c);
  const layer = attend + affine(c, e) + affine(e, c) + 2 * 2 * c; // two layer norms
  return table + softmax + layers * layer;
}

/** Models of the copy task by hand: 3.16 million. */
function copyCount(row: string): number {
  const [symbols, c, channels, e, layers] = [11, 256, 8 * 32, 1024, 4];
  const [, kernels = "0"] = /fmm-(\d)-kernel/.exec(row) ?? [];
  const blend = (Number(kernels) + Number(row.includes("band"))) * channels; // W1 of the band, W2 … of the kernels
  const attend = 3 * affine(c, channels) + affine(channels, c) + blend;
  const layer = attend + affine(c, e) + affine(e, c) + 2 * 2 * c;
  return matrix(symbols, c / 2) + layers * layer + 2 * c + affine(c, symbols);
}

test("every model has as many parameters as that of the paper's code", () => {
  for (const { name, task, model } of presets) {
    const row = name.slice(task.length + 1);
    const expected =
      task === "lm" ? lmCount(row) : task === "copy" ? copyCount(row) : lraCounts[task][lraRows.indexOf(row)];
    assert.equal(parameterCountOf(fmmformer(model)), expected, name);
  }
  assert.deepEqual(["softmax", "fmm-1-kernel-band20"].map(lmCount), [44_018_394, 44_020_442]);
  assert.deepEqual(["linear", "fmm-3-kernel-band10"].map(copyCount), [3_163_787, 3_167_883]);
});

test("parameters are counted without drawing them, and there are as many as are drawn", () => {
  for (const name of ["listops/fmm-2-kernel-band5", "copy/fmm-3-kernel-band10"]) {
    const model = fmmformer(preset(name));
    assert.equal(parameterCountOf(model), parameterCount(model.init(key)));
  }
});

test("language models start normal: maps and tables N(0, 0.02²), gains N(1, 0.02²), biases 0", () => {
  const few = { vocabulary: 500, classes: 500, cutoffs: [100, 200, 300], layers: 1 };
  const { encoder, head } = fmmformer({ ...preset("lm/fmm-2-kernel-fast-weight-band20"), ...few }).init(key) as {
    encoder: EncoderParams;
    head: TokenLabellerParams["head"];
  };
  const [{ attention: mix, attentionNorm, feedForward, feedForwardNorm }] = encoder.blocks;
  const { weight: beta } = (mix.attention as { far: { beta: LinearParams } }).far.beta;
  const { query, key: ofKey, value, output } = mix;
  const maps = [query, ofKey, value, output, feedForward.up, feedForward.down].map(({ weight }) => weight);
  for (const x of [encoder.embedding.tokens.table, ...maps, beta, head.clusters?.weight as Tensor]) {
    assert.ok(Math.abs(deviation(x, 0) - 0.02) < 0.06 * 0.02 * Math.max(1, 60 / Math.sqrt(x.size)), `${x.shape}`);
  }
  for (const { gain, bias } of [attentionNorm, feedForwardNorm] as LayerNormParams[]) {
    assert.ok(Math.abs(deviation(gain, 1) - 0.02) < 0.006);
    assert.ok(bias.data.every((x) => x === 0));
  }
  const biases = [feedForward.up.bias, feedForward.down.bias, head.bias, head.clusters?.bias] as Tensor[];
  for (const bias of biases) assert.ok(bias.data.every((x) => x === 0));
  for (const { bias } of [query, ofKey, value, output]) assert.equal(bias, undefined);
});

function deviation({ data }: Tensor, from: number): number {
  return Math.sqrt(Array.from(data).reduce((sum, x) => sum + (x - from) ** 2, 0) / data.length);
}

const [b, h, n, d] = [1, 2, 40, 4];
const [q, k, v] = [1, 2, 3].map((seed) => random.normal(random.key(seed), [b, h, n, d], { dtype: "float64" }));
const x = random.normal(random.key(4), [b, n, h * d], { dtype: "float64" });
const { elu, eluFlip, tanh } = featureMaps;
const near = (bandwidth: number, causal: boolean): Tensor => oracles.nearField(q, k, v, { bandwidth, causal });
const far = (base: "lra" | "lm" | "copy" | "paper", map: typeof elu, causal: boolean): Tensor =>
  oracles.farField(q, k, v, { ...farFieldPresets[base]({ n, d }), features: [map], causal });
const half = (a: Tensor, c: Tensor): Tensor => mul(0.5, add(a, c));

/** What attention gives before anything is learned. */
const first: { readonly [name: string]: () => Tensor } = {
  ...Object.fromEntries(Object.keys(lraCounts).map((task) => [`${task}/linear`, () => far("lra", elu, false)])),
  ...Object.fromEntries(Object.keys(lraCounts).map((task) => [`${task}/band5`, () => near(5, false)])),
  ...Object.fromEntries(Object.keys(lraCounts).map((task) => [`${task}/softmax`, () => fullAttention(q, k, v)])),
  "listops/fmm-1-kernel-band5": () => near(5, false),
  "listops/fmm-2-kernel-band5": () => near(5, false),
  "text/fmm-1-kernel-band5": () => near(5, false),
  "text/fmm-2-kernel-band5": () => near(5, false),
  "image/fmm-1-kernel-band5": () => near(5, false),
  "image/fmm-2-kernel-band5": () => near(5, false),
  "retrieval/fmm-1-kernel-band5": () => far("lra", elu, false),
  "retrieval/fmm-2-kernel-band5": () => far("lra", elu, false),
  "pathfinder/fmm-1-kernel-band5": () => half(near(5, false), far("lra", elu, false)),
  "pathfinder/fmm-2-kernel-band5": () => half(near(5, false), far("lra", elu, false)),
  "lm/softmax": () => fullAttention(q, k, v, { causal: true }),
  "lm/linear": () => far("lm", elu, true),
  "lm/band5": () => near(5, true),
  "lm/band20": () => near(20, true),
  "lm/fmm-1-kernel-band5": () => far("lm", elu, true),
  "lm/fmm-1-kernel-band20": () => far("lm", elu, true),
  "lm/fmm-2-kernel-band20": () => half(far("lm", elu, true), far("lm", eluFlip, true)),
  "copy/softmax": () => fullAttention(q, k, v, { causal: true }),
  "copy/linear": () => far("paper", elu, true),
  "copy/band10": () => mul(0, v),
  "copy/fmm-1-kernel": () => far("copy", elu, true),
  "copy/fmm-1-kernel-band10": () => far("copy", elu, true),
  "copy/fmm-2-kernel-band20": () => half(far("copy", elu, true), far("copy", eluFlip, true)),
  "copy/fmm-3-kernel-band30": () =>
    mul(1 / 3, add(add(far("copy", elu, true), far("copy", eluFlip, true)), far("copy", tanh, true))),
};

test("presets start as the paper's code does: near, far, or half and half", () => {
  for (const [name, expected] of Object.entries(first)) {
    const { attention: options, causal = false } = preset(name);
    const core = attention(options, { width: h * d, heads: h, headWidth: d, causal });
    agree(name, core.apply(core.init(key), q, k, v, { x }), expected(), { tolerance: 1e-6 });
  }
});

test("fast-weight presets all start as the fast-weight baseline", () => {
  const names = ["lm/fast-weight", "lm/fmm-1-kernel-fast-weight-band20", "lm/fmm-2-kernel-fast-weight-band20"];
  const [baseline, ...others] = names.map((name) => {
    const core = attention(preset(name).attention, { width: h * d, heads: h, headWidth: d, causal: true });
    return core.apply(core.init(key), q, k, v, { x });
  });
  for (const other of others) agree("fast weights", other, baseline, { tolerance: 1e-12 });
});

test("presets keep the dropout, order, positions and pooling of their code", () => {
  const { attention: lra, ...model } = preset("image/fmm-2-kernel-band5");
  assert.equal(lra.dropout, 0.1);
  assert.deepEqual(
    [model.dropout, model.order, model.positions, model.pooling, model.activation],
    [0.1, "pre", "learned", "padded-mean", "gelu"],
  );
  const lm = preset("lm/fmm-1-kernel-band5");
  assert.deepEqual(
    [lm.attention.dropout, lm.order, lm.positions, lm.finalNorm, lm.bias, lm.tied, lm.activation, lm.init],
    [0, "post", "reversed", false, false, true, "relu", "normal"],
  );
  const copy = preset("copy/fmm-1-kernel-band10");
  assert.deepEqual(
    [copy.attention.dropout, copy.embeddingDropout, copy.order, copy.positions, copy.finalNorm ?? true],
    [0.1, 0, "post", "beside", true],
  );
});

test("the paper's own form keeps the weights of both fields positive", () => {
  const core = attention(
    { kind: "fmm", bandwidth: 5, blend: "paper" },
    { width: h * d, heads: h, headWidth: d, causal: false },
  );
  const params = core.init(key);
  const expected = half(near(5, false), far("paper", elu, false));
  agree("paper", core.apply(params, q, k, v, { x }), expected, { tolerance: 1e-12 });
  assert.equal(blends.paper.sigmoid, true);
});

test("an unknown preset is refused, with the nearest name", () => {
  assert.throws(
    () => preset("listops/fmm-2-kernels-band5"),
    /^TypeError: preset: .*did you mean listops\/fmm-2-kernel-band5$/,
  );
});
