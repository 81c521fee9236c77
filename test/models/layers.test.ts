import assert from "node:assert/strict";
import { test } from "node:test";
import {
  add,
  allClose,
  checkGradients,
  matmul,
  mul,
  ones,
  random,
  relu,
  ShapeError,
  slice,
  sum,
  swapAxes,
  type Tensor,
  tensor,
} from "@fmmformer/autodiff";
import {
  dropout,
  embedding,
  feedForward,
  type Layer,
  layerNorm,
  learnedPositions,
  linear,
  norm,
  rmsNorm,
  rotary,
  sinusoids,
  tokenEmbedding,
} from "@fmmformer/models";
import { shaken } from "./parameters.ts";

const key = random.key(0);

test("linear multiplies rows and adds a bias, both uniform in ±1/√c at first", () => {
  const layer = linear({ inputs: 400, outputs: 300 });
  const params = layer.init(key);
  const x = random.normal(random.key(1), [2, 3, 400]);
  assert.ok(allClose(layer.apply(params, x), add(matmul(x, params.weight), params.bias as Tensor)));
  for (const drawn of [params.weight, params.bias as Tensor]) {
    const values = [...drawn.data];
    assert.ok(values.every((v) => Math.abs(v) <= 1 / 20));
    const deviation = Math.sqrt(values.reduce((total, v) => total + v * v, 0) / values.length);
    assert.ok(Math.abs(deviation - 1 / 20 / Math.sqrt(3)) < 0.003, `${deviation}`);
  }
  const bare = linear({ inputs: 4, outputs: 2, bias: false });
  assert.deepEqual(Object.keys(bare.init(key)), ["weight"]);
  assert.throws(
    () => layer.apply(params, ones([2, 7])),
    (error) => error instanceof ShapeError && /expected x \(…, c=400\), got \(2, 7\)/.test(error.message),
  );
});

test("the same key draws the same parameters, another key others", () => {
  const { init } = linear({ inputs: 3, outputs: 2 });
  assert.deepEqual(init(key).weight.toArray(), init(random.key(0)).weight.toArray());
  assert.notDeepEqual(init(key).weight.toArray(), init(random.key(1)).weight.toArray());
});

test("norms start as plain normalisations", () => {
  const x = random.normal(random.key(2), [5, 8]);
  const layer = layerNorm({ width: 8 });
  const y = layer.apply(layer.init(key), x);
  assert.ok(allClose(sum(y, { axis: -1 }), 0, { absolute: 1e-5 }));
  const rms = rmsNorm({ width: 8 });
  const z = rms.apply(rms.init(key), x);
  assert.ok(allClose(sum(mul(z, z), { axis: -1 }), 8, { relative: 1e-3 }));
  assert.throws(() => norm("laier" as "layer", { width: 8 }), /^TypeError: norm: .*did you mean layer/);
});

test("embedding reads rows that start with deviation 0.02", () => {
  const layer = embedding({ vocabulary: 200, width: 50 });
  const { table } = layer.init(key);
  const ids = tensor(
    [
      [3, 199],
      [0, 3],
    ],
    { dtype: "int32" },
  );
  assert.deepEqual(slice(layer.apply({ table }, ids), [0, 1], [1, 2]).toArray(), [
    [slice(table, [199], [200]).toArray()[0 as never]],
  ]);
  const deviation = Math.sqrt(sum(mul(table, table)).item() / table.size);
  assert.ok(Math.abs(deviation - 0.02) < 0.001, `${deviation}`);
  assert.throws(
    () => layer.apply({ table }, tensor([200], { dtype: "int32" })),
    /^RangeError: .* from 0 to 199, got 200/,
  );
  assert.throws(
    () => layer.apply({ table }, tensor([1])),
    /^DTypeError: embedding: expected int32 token ids, got float32/,
  );
});

test("sinusoids are those of the formula, in each layout and direction", () => {
  const [n, width] = [9, 6];
  const at = (place: number, c: number) => place / 10_000 ** ((2 * c) / width);
  const pairs = sinusoids(n, width).toArray() as number[][];
  const reversed = sinusoids(n, width, { reversed: true, layout: "halves" }).toArray() as number[][];
  for (let i = 0; i < n; i++) {
    for (let c = 0; c < width / 2; c++) {
      const close = (found: number, expected: number) => assert.ok(Math.abs(found - expected) < 1e-5);
      close(pairs[i][2 * c], Math.sin(at(i, c)));
      close(pairs[i][2 * c + 1], Math.cos(at(i, c)));
      close(reversed[i][c], Math.sin(at(n - 1 - i, c)));
      close(reversed[i][width / 2 + c], Math.cos(at(n - 1 - i, c)));
    }
  }
  assert.throws(() => sinusoids(3, 5), /^RangeError: sinusoids: expected an even width, got 5/);
});

test("rotary scores depend on how far apart tokens are, not on where", () => {
  const [q, k] = random.split(random.key(3)).map((each) => random.normal(each, [1, 8], { dtype: "float64" }));
  const everywhere = (x: Tensor): Tensor => rotary(mul(ones([12, 1]), x)); // (n, d)
  const scores = matmul(everywhere(q), swapAxes(everywhere(k), 0, 1)).toArray() as number[][];
  for (let i = 1; i < 12; i++) {
    for (let j = 1; j < 12; j++) assert.ok(Math.abs(scores[i][j] - scores[i - 1][j - 1]) < 1e-6);
  }
  assert.ok(Math.abs(scores[0][0] - sum(mul(q, k)).item()) < 1e-6);
  assert.ok(Math.abs(scores[3][0] - scores[0][3]) > 1e-3);
  assert.throws(() => rotary(ones([4, 3])), /^ShapeError: rotary: .*even d/);
});

test("positions: learned ones have a length, others none", () => {
  const layer = learnedPositions({ length: 4, width: 3 });
  const params = layer.init(key);
  assert.deepEqual(layer.apply(params, ones([2, 4, 3])).shape, [2, 4, 3]);
  assert.throws(() => layer.apply(params, ones([5, 3])), /^ShapeError: learnedPositions: .*n ≤ 4.*got \(5, 3\)/);
  for (const positions of ["learned", "sinusoidal", "beside", "reversed", "none"] as const) {
    const embed = tokenEmbedding({ vocabulary: 5, length: 4, width: 8, positions, scale: 2 });
    const drawn = embed.init(key);
    assert.equal("positions" in drawn, positions === "learned");
    assert.deepEqual(embed.apply(drawn, tensor([[1, 2, 3]], { dtype: "int32" })).shape, [1, 3, 8]);
  }
  assert.throws(
    () => tokenEmbedding({ vocabulary: 5, length: 4, width: 6, positions: "sinus" as "none" }),
    /^TypeError: tokenEmbedding: expected positions .*did you mean/,
  );
});

test("feedForward is two linear maps with an activation between", () => {
  const layer = feedForward({ width: 3, hidden: 5, activation: "relu" });
  const params = shaken(layer.init(key));
  const x = random.normal(random.key(4), [2, 3], { dtype: "float64" });
  const inner = relu(add(matmul(x, params.up.weight), params.up.bias as Tensor));
  assert.ok(allClose(layer.apply(params, x), add(matmul(inner, params.down.weight), params.down.bias as Tensor)));
  const smooth: Layer<typeof params> = feedForward({ width: 3, hidden: 5, dropout: 0.3 });
  checkGradients((p: typeof params, t: Tensor) => smooth.apply(p, t, { key: random.key(5) }), [params, x]);
});

test("dropout drops only with a key", () => {
  const x = ones([100]);
  assert.equal(dropout(0.5, x), x);
  assert.notDeepEqual(dropout(0.5, x, { key }).toArray(), x.toArray());
});
