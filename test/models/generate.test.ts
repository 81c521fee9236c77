import assert from "node:assert/strict";
import { test } from "node:test";
import { type Engine, plain, random, tensor } from "@fmmformer/autodiff";
import { fmmformer, generate } from "@fmmformer/models";
import { shaken } from "./parameters.ts";

const sizes = { vocabulary: 12, length: 6, classes: 12, width: 16, layers: 1 } as const;
const model = fmmformer({
  ...sizes,
  kind: "label-tokens",
  causal: true,
  attention: { kind: "fmm", bandwidth: 3 },
  std: 1,
});
const params = model.init(random.key(2));

/** The likeliest next token, of whole sequences: a window of 6, whose last half begins the next. */
function likeliest(text: readonly number[]): number {
  const from = text.length <= 6 ? 0 : 3 * Math.ceil((text.length - 6) / 3);
  const read = text.slice(from);
  const logits = model.apply(params, tensor([read], { dtype: "int32" })).toArray() as number[][][];
  const last = logits[0][read.length - 1];
  return last.indexOf(Math.max(...last));
}

test("at temperature 0 each token is the likeliest, before the window is full and after", () => {
  const text = [3, 1];
  for (let i = 0; i < 10; i++) text.push(likeliest(text));
  const made = generate(model, params, [3, 1], { length: 10, window: 6, temperature: 0 });
  assert.deepEqual(Array.from(made), text.slice(2));
  assert.ok(new Set(made).size > 2, `${made}`);
});

test("token by token or by whole windows, the text is the same", () => {
  for (const kind of ["fmm", "softmax", "fast-weight"] as const) {
    const sayer = fmmformer({ ...sizes, length: 8, kind: "label-tokens", causal: true, attention: kind, std: 1 });
    const weights = sayer.init(random.key(4));
    const { init, apply } = sayer;
    for (const window of [1, 5, 8]) {
      for (const prompt of [[1], [4, 0, 2, 9, 7, 3, 11, 1, 2, 8]]) {
        const options = { length: 21, window, key: random.key(window) };
        const made = generate(sayer, weights, prompt, options);
        assert.deepEqual(made, generate({ init, apply }, weights, prompt, options), `${kind}, ${window}, ${prompt}`);
      }
    }
  }
});

test("parameters may be float64, and classes more than there are tokens", () => {
  const double = shaken(params);
  const options = { length: 9, window: 6, temperature: 0 };
  const { init, apply } = model;
  assert.deepEqual(generate(model, double, [3], options), generate({ init, apply }, double, [3], options));
  const rich = fmmformer({
    ...sizes,
    vocabulary: 7,
    classes: 9,
    length: 8,
    kind: "label-tokens",
    causal: true,
    std: 1,
  });
  for (let seed = 0; seed < 8; seed++) {
    const [last] = generate(rich, rich.init(random.key(1)), [3], { length: 1, window: 8, key: random.key(seed) });
    assert.ok(last >= 0 && last < 9);
  }
});

test("the same key gives the same text, another key another", () => {
  const at = (seed: number): number[] =>
    Array.from(generate(model, params, [3], { length: 16, window: 6, key: random.key(seed) }));
  assert.deepEqual(at(1), at(1));
  assert.notDeepEqual(at(1), at(2));
});

test("tokens are drawn as often as the model says", () => {
  const logits = model.apply(params, tensor([[5]], { dtype: "int32" })).toArray() as number[][][];
  const terms = logits[0][0].map((x) => Math.exp(x / 2));
  const total = terms.reduce((a, x) => a + x, 0);
  const counts = new Array<number>(12).fill(0);
  const draws = 150;
  for (let seed = 0; seed < draws; seed++) {
    const key = random.key(seed);
    counts[generate(model, params, [5], { length: 1, window: 1, temperature: 2, key, engine: plain })[0]]++;
  }
  for (const [v, count] of counts.entries()) {
    const p = terms[v] / total;
    const spread = Math.sqrt(p * (1 - p) * draws);
    assert.ok(Math.abs(count - p * draws) < 4 * spread + 1, `${v}: ${count} of ${draws}, expected ${p * draws}`);
  }
});

test("a window is compiled once, however long the text is", () => {
  let compiled = 0;
  const counting: Engine = {
    ...plain,
    compile: (...args) => {
      compiled++;
      return plain.compile(...args);
    },
  };
  generate(model, params, [3, 1], { length: 9, window: 6, engine: counting });
  assert.equal(compiled, 1);
});

test("what cannot be written is refused", () => {
  const at = (prompt: number[], options: object) => () =>
    generate(model, params, prompt, { length: 2, window: 6, ...options });
  assert.throws(at([], {}), /^RangeError: generate: expected a prompt of at least one token, got none$/);
  assert.throws(at([1], { length: 0 }), /^RangeError: generate: expected length to be an integer ≥ 1, got 0$/);
  assert.throws(at([1], { temperature: -1 }), /expected a temperature ≥ 0, got -1$/);
  assert.throws(at([12], {}), /^RangeError: .*from 0 to 11, got 12/);
  assert.throws(at([-1, 2], {}), /^RangeError: .*from 0 to 11, got -1/);
  const classifies = fmmformer(sizes);
  assert.throws(
    () => generate(classifies, classifies.init(random.key(0)), [1], { length: 1, window: 6 }),
    /^ShapeError: generate: expected logits \(1, window=6, classes\) of a token labeller, got \(1, 12\)$/,
  );
});
