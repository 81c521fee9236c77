import assert from "node:assert/strict";
import { test } from "node:test";
import { random, tensor } from "@fmmformer/autodiff";
import {
  attentionMaps,
  curvesFigure,
  efficiencyFigure,
  efficiencyStudy,
  fmmformer,
  rankFigure,
  rankStudy,
  switchBoard,
} from "@fmmformer/models";

test("an attention map has rows that sum to 1, for each layer and head; masked keys and the future are 0", () => {
  const { vocabulary, length, classes, example } = switchBoard({ votes: 5, majority: 3, symbols: 8, reach: 2 });
  for (const causal of [false, true]) {
    const options = {
      ...{ vocabulary, length, classes, kind: "label-tokens" as const, causal, width: 12, layers: 3, heads: 2 },
      attention: { kind: "softmax" as const },
    };
    const params = fmmformer(options).init(random.key(1));
    const maps = attentionMaps(options, params, tensor(example("test", 0).tokens));
    assert.equal(maps.length, 6);
    for (const { rows, columns, data } of maps) {
      assert.deepEqual([rows, columns], [length, length]);
      for (let i = 0; i < length; i++) {
        const row = Array.from(data).slice(i * length, (i + 1) * length);
        assert.ok(Math.abs(row.reduce((a, b) => a + b) - 1) < 1e-6);
        assert.equal(
          row.some((weight, j) => weight !== 0 && j > i),
          !causal && i < length - 1,
        );
      }
    }
    const linear = { ...options, attention: { kind: "linear" as const } };
    assert.throws(() => attentionMaps(linear, params, tensor(example("test", 0).tokens)), {
      name: "TypeError",
      message: "attentionMaps: expected attention of kind softmax, got linear",
    });
  }
});

test("nothing attends to padding in an attention map", () => {
  const options = {
    ...{ vocabulary: 5, length: 6, classes: 2, width: 8, layers: 2, heads: 2 },
    attention: { kind: "softmax" as const },
  };
  const params = fmmformer(options).init(random.key(1));
  const mask = tensor([1, 1, 0, 1, 0, 0]);
  const tokens = tensor(Int32Array.of(1, 2, 0, 3, 0, 0));
  for (const { data } of attentionMaps(options, params, tokens, { mask })) {
    for (let at = 0; at < 36; at++) assert.equal(data[at] !== 0, mask.data[at % 6] === 1);
  }
});

test("a map that is a band and a low rank is of low rank without the band, and drawn so", async () => {
  const n = 24;
  const u = (i: number): number => 0.1 + Math.sin(i) ** 2;
  const map = (of: (i: number, j: number) => number) => ({
    rows: n,
    columns: n,
    data: Array.from({ length: n * n }, (_, at) => of(Math.floor(at / n), at % n)),
  });
  const banded = map((i, j) => (Math.abs(i - j) < 3 ? 1 + ((i * 7 + j * 3) % 5) : 0));
  const outer = map((i, j) => (Math.abs(i - j) < 3 ? 0 : u(i) * u(j)));
  const seen: number[] = [];
  const { bands } = rankStudy([banded, outer], { bandwidths: [0, 3], onMap: (done) => seen.push(done) });
  assert.deepEqual(seen, [1, 2]);
  assert.deepEqual(
    bands.map(({ bandwidth }) => bandwidth),
    [0, 3],
  );
  assert.ok(bands[0].ranks[0] > n / 2);
  assert.equal(bands[1].ranks[0], 0);
  assert.deepEqual(bands[0].ranks[1], bands[1].ranks[1]);
  assert.deepEqual(bands[1].leading, [0, bands[0].leading[1]]);
  const unequal = map((i, j) => (i === j ? ([4, 2, 1][i] ?? 0) : 0)); // of the 21 in all, 16 and 20
  assert.deepEqual(
    rankStudy([unequal], { bandwidths: [0, 1] }).bands.map(({ leading }) => leading[0]),
    [2, 0],
  );
  const svg = await rankFigure(rankStudy([banded, outer]));
  assert.match(svg, /^<svg [^>]*xmlns="http:\/\/www.w3.org\/2000\/svg"/);
  for (const text of ["whole", "without band 20", "singular values above 0.000001, of 24"])
    assert.ok(svg.includes(text), text);
  const leading = await rankFigure(rankStudy([unequal]), "leading");
  assert.ok(leading.includes("singular values that hold 95 % of the squares, of 24"));
  assert.throws(
    () => rankStudy([]),
    /^RangeError: rankStudy: expected one or more square maps of one size, got others$/,
  );
  assert.throws(() => rankStudy([banded, { rows: 1, columns: 1, data: [1] }]), RangeError);
});

test("memory of softmax, band and linear attention grows with the length, which is drawn", async () => {
  const seen: number[] = [];
  const study = efficiencyStudy({ lengths: [256, 512, 1024], onPoint: ({ length }) => seen.push(length) });
  assert.equal(study.points.length, 4 * 2 * 3);
  assert.deepEqual(
    seen,
    study.points.map(({ length }) => length),
  );
  for (const { attention, pass } of study.slopes) {
    const own = study.points.filter((point) => point.attention === attention && point.pass === pass);
    assert.ok(own.every(({ milliseconds, bytes }) => milliseconds > 0 && bytes > 0));
    const growth = own[2].bytes / own[1].bytes;
    assert.ok(growth > 1.5 && growth < 2.3, `${attention}, ${pass}: ${growth}`);
  }
  const svg = await efficiencyFigure(study, "memory");
  for (const text of ["softmax", "fmm-3-kernel-band30", "MiB, forward and backward"])
    assert.ok(svg.includes(text), text);
});

test("an attention stops where its next length would take too long, and of one length no power is told", () => {
  const { points, slopes } = efficiencyStudy({
    attentions: { softmax: { kind: "softmax" } },
    lengths: [64, 8192],
    seconds: 0.001,
  });
  assert.deepEqual(
    points.map(({ length }) => length),
    [64, 64],
  );
  assert.deepEqual(slopes, []);
});

/** How far the names of two models are from each other, in pixels. */
function apart(svg: string): number {
  const [one, other] = [...svg.matchAll(/translate\([\d.]+,([\d.]+)\)[^>]*>(?:near|far)</g)].map(([, y]) => Number(y));
  return Math.abs(one - other);
}

test("curves of one model are drawn as their mean, names stand apart, and too many models or tasks are refused", async () => {
  const run = (model: string, ...accuracy: number[]) => ({
    ...{ task: "t", model, steps: [1, 2], loss: [2, 1], accuracy: [0, 0] },
    validation: { steps: [10, 20], loss: [2, 1], accuracy },
  });
  const svg = await curvesFigure([run("near", 0, 0.4), run("near", 0, 0.8), run("far", 0, 0.61)], "accuracy");
  const heights = [...svg.matchAll(/cy="([\d.]+)"/g)].map(([, y]) => Number(y));
  assert.equal(heights.length, 4, "two points of each model");
  const [bottom, near, far] = [heights[0], heights[2], heights[3]].map((y) => y - heights[0]);
  assert.equal(bottom, 0);
  assert.ok(Math.abs(near / far - 0.6 / 0.61) < 0.01, `near ${near}, far ${far}`);
  assert.ok(apart(svg) > 10, `names are ${apart(svg)} apart`);
  const close = await curvesFigure([run("near", 0.5, 0.5), run("far", 0.5, 0.501)], "accuracy");
  assert.ok(apart(close) > 10, `names are ${apart(close)} apart where curves are as one beside those of training`);
  assert.throws(() => curvesFigure([], "loss"), RangeError);
  const other = { ...run("near", 0, 1), task: "u" };
  assert.throws(
    () => curvesFigure([run("near", 0, 1), other], "loss"),
    /^RangeError: curvesFigure: expected curves of one task, got t; u; draw a figure of each$/,
  );
  const many = ["a", "b", "c", "d", "e", "f", "g"].map((model) => run(model, 0, 1));
  assert.throws(() => curvesFigure(many, "loss"), /expected curves of 1 to 6 models, got 7/);
});
