import assert from "node:assert/strict";
import { test } from "node:test";
import { add, mul, random, type Tensor } from "@fmmformer/autodiff";
import { farFieldPresets, featureMaps, fullAttention } from "@fmmformer/kernels";
import { agree } from "@fmmformer/kernels/laws";
import * as oracles from "@fmmformer/kernels/oracles";
import { attention, blends, fmmformer, parameterCount, preset, presets } from "@fmmformer/models";

const key = random.key(0);

/** Parameters of the model in the paper's code, counted there or from its shapes. */
const counts: { readonly [task: string]: readonly number[] } = {
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
    ...Object.keys(counts).flatMap((task) => lraRows.map((row) => `${task}/${row}`)),
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

test("models of Long Range Arena have as many parameters as the authors'", () => {
  for (const [task, expected] of Object.entries(counts)) {
    const found = lraRows.map((row) => parameterCount(fmmformer(preset(`${task}/${row}`)).init(key)));
    assert.deepEqual(found, expected, task);
  }
});

test("models of language and of copying have as many parameters as the paper's code: 44.0 and 3.16 million", () => {
  const small = 100; // words: the table of all of them takes long to draw
  const { attention: band, ...lm } = preset("lm/band5");
  const model = fmmformer({ ...lm, attention: band, vocabulary: small, classes: small });
  const perWord = 128 + 1; // a row of the table, which is tied, and a bias
  assert.equal(parameterCount(model.init(key)) + (lm.vocabulary - small) * perWord, 44_018_007);
  assert.equal(parameterCount(fmmformer(preset("copy/linear")).init(key)), 3_163_787);
  assert.equal(parameterCount(fmmformer(preset("copy/fmm-3-kernel-band10")).init(key)), 3_163_787 + 4 * 4 * 256);
});

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
  ...Object.fromEntries(Object.keys(counts).map((task) => [`${task}/linear`, () => far("lra", elu, false)])),
  ...Object.fromEntries(Object.keys(counts).map((task) => [`${task}/band5`, () => near(5, false)])),
  ...Object.fromEntries(Object.keys(counts).map((task) => [`${task}/softmax`, () => fullAttention(q, k, v)])),
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
    [lm.attention.dropout, lm.order, lm.positions, lm.finalNorm, lm.bias, lm.tied, lm.activation],
    [0, "post", "reversed", false, false, true, "relu"],
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
