import assert from "node:assert/strict";
import { test } from "node:test";
import { plain, random, tensor } from "@fmmformer/autodiff";
import { fmmformer, type PerplexitySoFar, perplexity, slidingPerplexity } from "@fmmformer/models";

const words = 20;
const tokens = Int32Array.from(random.uniform(random.key(3), [23]).data, (u) => Math.floor(u * words));
const sizes = { vocabulary: words, length: 8, classes: words, width: 8, layers: 1, kind: "label-tokens" } as const;
const options = { ...sizes, causal: true, attention: { kind: "fmm", bandwidth: 3 }, positions: "reversed" } as const;
const models = { "plain softmax": fmmformer(options), "adaptive softmax": fmmformer({ ...options, cutoffs: [4, 9] }) };

/** −ln p of each next token of a window, by the logits. */
function losses(model: (typeof models)["plain softmax"], from: number, to: number): number[] {
  const params = model.init(random.key(1));
  const given = tensor(tokens.slice(from, to), { shape: [1, to - from] });
  const [logits] = model.apply(params, given).toArray() as number[][][];
  return logits.map((row, i) => Math.log(row.reduce((sum, x) => sum + Math.exp(x), 0)) - row[tokens[from + i + 1]]);
}

const mean = (values: readonly number[]): number => values.reduce((a, x) => a + x, 0) / values.length;

for (const [name, model] of Object.entries(models)) {
  const params = model.init(random.key(1));
  const told = tokens.length - 1;

  test(`${name}: all tokens of the first window, then the last of each, in batches of any size`, () => {
    const all = losses(model, 0, 8);
    for (let end = 9; end <= told; end++) all.push(losses(model, end - 8, end)[7]);
    assert.equal(all.length, told);
    for (const batchSize of [1, 4, 100]) {
      const found = slidingPerplexity(model, params, tokens, { window: 8, batchSize });
      assert.ok(Math.abs(found.loss - mean(all)) < 1e-6, `${found.loss} for ${mean(all)}`);
      assert.equal(found.perplexity, Math.exp(found.loss));
      assert.equal(found.tokens, told);
    }
    const plainly = slidingPerplexity(model, params, tokens, { window: 8, engine: plain });
    assert.ok(Math.abs(plainly.loss - mean(all)) < 1e-6);
  });

  test(`${name}: a wider stride tells the last tokens of each window, and of the last one what is left`, () => {
    const all = [...losses(model, 0, 8)]; // 8 of 22, then 5, 5 and 4
    for (const [end, count] of [
      [13, 5],
      [18, 5],
      [22, 4],
    ])
      all.push(...losses(model, end - 8, end).slice(8 - count));
    const { loss } = slidingPerplexity(model, params, tokens, { window: 8, stride: 5, batchSize: 3 });
    assert.ok(Math.abs(loss - mean(all)) < 1e-6);
  });

  test(`${name}: windows side by side, the last one shorter`, () => {
    const all = [losses(model, 0, 8), losses(model, 8, 16), losses(model, 16, 22)].flat();
    const found = perplexity(model, params, tokens, { window: 8, batchSize: 2 });
    assert.ok(Math.abs(found.loss - mean(all)) < 1e-6);
    assert.equal(found.tokens, told);
    const even = perplexity(model, params, tokens.slice(0, 17), { window: 8 });
    assert.ok(Math.abs(even.loss - mean(all.slice(0, 16))) < 1e-6);
  });
}

test("batches are counted, with the loss of what was told so far", () => {
  const model = models["plain softmax"];
  const params = model.init(random.key(1));
  for (const [f, batches] of [
    [slidingPerplexity, 4], // 15 windows
    [perplexity, 1], // 2 whole ones
  ] as const) {
    const told: PerplexitySoFar[] = [];
    const { loss } = f(model, params, tokens.slice(0, 23), {
      ...{ window: 8, batchSize: 4 },
      onBatch: (soFar) => told.push(soFar),
    });
    assert.deepEqual(
      told.map(({ done }) => done),
      [...Array(batches + 1).keys()],
    );
    assert.ok(told.every((each) => each.batches === batches));
    assert.ok(Number.isNaN(told[0].loss) && told.slice(1).every((each) => each.loss > 0));
    if (f === slidingPerplexity) assert.equal(told[batches].loss, loss);
  }
});

test("a text shorter than the window is one window", () => {
  const model = models["plain softmax"];
  const params = model.init(random.key(1));
  const short = tokens.slice(0, 5);
  const expected = mean(losses(model, 0, 4));
  for (const f of [slidingPerplexity, perplexity]) {
    assert.ok(Math.abs(f(model, params, short, { window: 8 }).loss - expected) < 1e-6);
  }
});

test("what cannot be measured is refused", () => {
  const model = models["plain softmax"];
  const params = model.init(random.key(1));
  const at =
    (given: object, text: ArrayLike<number> = tokens) =>
    () =>
      slidingPerplexity(model, params, text, given);
  assert.throws(at({ window: 0 }), /^RangeError: slidingPerplexity: expected window to be an integer ≥ 1, got 0$/);
  assert.throws(at({ batchSize: 1.5 }), /expected batchSize to be an integer ≥ 1, got 1.5$/);
  assert.throws(at({ window: 4, stride: 5 }), /expected stride ≤ window \(4\), got 5/);
  assert.throws(at({}, [3]), /expected at least 2 tokens, got 1$/);
  assert.throws(at({ window: 4 }, [3, 40, 2]), /^RangeError: .*from 0 to 19, got 40/);
  assert.throws(() => perplexity(model, params, []), /^RangeError: perplexity: expected at least 2 tokens, got 0$/);
});
