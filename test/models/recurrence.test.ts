import assert from "node:assert/strict";
import { test } from "node:test";
import {
  add,
  concat,
  cumsum,
  div,
  expandDims,
  flatten,
  grad,
  iota,
  jit,
  mul,
  random,
  reshape,
  scan,
  slice,
  sum,
  type Tensor,
  take,
  tensor,
  vmap,
  zeros,
} from "@fmmformer/autodiff";
import { type FeatureMap, featureMaps } from "@fmmformer/kernels";
import { gpu } from "@fmmformer/kernels/gpu";
import { agree } from "@fmmformer/kernels/laws";
import { wasm } from "@fmmformer/kernels/wasm";
import {
  type Attention,
  type AttentionOptions,
  type AttentionRecurrence,
  attention,
  type DecoderOptions,
  decoder,
  fmmformer,
  type Layer,
  multiHeadAttention,
  recurrence,
} from "@fmmformer/models";
import fc from "fast-check";
import { shaken } from "./parameters.ts";

const sizes = { vocabulary: 7, length: 9, width: 8, heads: 2, hidden: 12, layers: 2, std: 1 } as const;

/** A map of one's own, whose rows are wider than those it takes. */
const wide: FeatureMap = {
  name: "wide",
  apply: (x) => concat([featureMaps.softplus.apply(x), featureMaps.sigmoid.apply(x)], { axis: -1 }),
};
const kernels = fc.oneof(
  fc.subarray(["elu", "eluFlip", "sigmoid"] as const, { minLength: 1 }),
  fc.constantFrom([wide], [wide, wide]),
);
const disjoint = fc.boolean();
const switches = { bandwidth: fc.integer({ min: 1, max: 5 }), relativeBias: fc.boolean(), rotary: fc.boolean() };
const normalizer = fc.constantFrom("paper", "lra", "lm", "copy", "rms", "none");
const attentions: fc.Arbitrary<AttentionOptions> = fc.oneof(
  fc.record({ kind: fc.constant("softmax"), rotary: fc.boolean() }),
  fc.record({ kind: fc.constantFrom("linear", "fast-weight"), kernels, normalizer }),
  fc.record({ kind: fc.constant("band"), ...switches }),
  fc.record({
    kind: fc.constantFrom("fmm", "fmm-fast-weight"),
    kernels,
    normalizer,
    disjoint,
    ...switches,
    blend: fc.constantFrom("near-first", "paper"),
  }),
) as fc.Arbitrary<AttentionOptions>;

const decoders: fc.Arbitrary<DecoderOptions> = fc
  .record({
    attention: attentions,
    headWidth: fc.constantFrom(4, 6),
    positions: fc.constantFrom("learned", "sinusoidal", "beside", "reversed", "none"),
    order: fc.constantFrom("pre", "post"),
    norm: fc.constantFrom("layer", "rms"),
    finalNorm: fc.boolean(),
    scale: fc.constantFrom(1, 2),
    cutoffs: fc.constantFrom([], [3]),
    tied: fc.boolean(),
  })
  .map(({ tied, ...options }) => ({
    ...sizes,
    ...options,
    tied: tied && options.positions !== "beside",
  })) as fc.Arbitrary<DecoderOptions>;

/** Tokens (…b, n), with no, one or two axes before that of a sequence. */
const drawnTokens = fc
  .tuple(fc.constantFrom([], [2], [1, 2]), fc.integer({ min: 1, max: sizes.length }))
  .chain(([batch, n]) => {
    const size = batch.length === 0 ? n : 2 * n;
    return fc
      .array(fc.integer({ min: 0, max: 6 }), { minLength: size, maxLength: size })
      .map((ids) => tensor(Int32Array.from(ids), { shape: [...batch, n] }));
  });

const tokensOf = (ids: readonly number[]): Tensor => tensor(Int32Array.from(ids), { shape: [2, ids.length / 2] });

/** Token i of (…b, n), as (…b, 1). */
const tokenAt = (tokens: Tensor, i: number): Tensor => take(tokens, tensor([i], { dtype: "int32" }), { axis: -1 });

/** All rows, one token after the other. */
function oneByOne<Params>(layer: Layer<Params>, params: Params, x: Tensor, dtype: "float32" | "float64"): Tensor {
  const batch = x.shape.slice(0, -1);
  const n = x.shape[batch.length];
  const { start, step } = recurrence(layer, { length: n });
  let state = start({ batch, dtype });
  const rows: Tensor[] = [];
  for (let i = 0; i < n; i++) {
    const [y, next] = step(params, tokenAt(x, i), state);
    rows.push(y);
    state = next;
  }
  return concat(rows, { axis: -2 });
}

test("token by token a decoder gives the rows of the whole sequence, and its gradients", () => {
  fc.assert(
    fc.property(decoders, drawnTokens, fc.integer({ min: 0, max: 99 }), (options, tokens, seed) => {
      const model = decoder(options);
      const params = shaken(model.init(random.key(seed)));
      const whole = model.apply(params, tokens);
      agree("rows", oneByOne(model, params, tokens, "float64"), whole, { tolerance: 1e-9 });
      const weights = random.normal(random.key(seed + 1), whole.shape, { dtype: "float64" });
      const gradients = (f: (p: typeof params) => Tensor) =>
        grad((p: typeof params) => sum(mul(f(p), weights)))(params);
      agree(
        "gradients",
        gradients((p) => oneByOne(model, p, tokens, "float64")),
        gradients((p) => model.apply(p, tokens)),
        { tolerance: 1e-8 },
      );
    }),
    { numRuns: 60 },
  );
});

test("compiled with its state donated, on the wasm engine, it gives the same rows", () => {
  fc.assert(
    fc.property(decoders, drawnTokens, (options, tokens) => {
      const model = decoder(options);
      const params = model.init(random.key(3));
      const batch = tokens.shape.slice(0, -1);
      const n = tokens.shape[batch.length];
      const { start, step } = recurrence(model, { length: n });
      const compiled = jit((state: unknown, token: Tensor) => step(params, token, state), {
        engine: wasm(),
        donate: [0],
      });
      let state = start({ batch });
      const rows: Tensor[] = [];
      for (let i = 0; i < n; i++) {
        const [y, next] = compiled(state, tokenAt(tokens, i));
        rows.push(add(y, 0)); // read before the state behind it is given away
        state = next;
      }
      agree("rows", concat(rows, { axis: -2 }), model.apply(params, tokens), { tolerance: 2e-4 });
    }),
    { numRuns: 20 },
  );
});

const both = { kind: "fmm", bandwidth: 3, relativeBias: true } as const;

test("what is remembered does not grow with the sequence, but for softmax attention", () => {
  const numbers = (attention: AttentionOptions, length: number): number => {
    const state = recurrence(decoder({ ...sizes, positions: "none", attention }), { length }).start();
    return flatten(state).leaves.reduce((total: number, x) => total + (x as Tensor).size, 0);
  };
  const [h, d, layers] = [sizes.heads, sizes.width / sizes.heads, sizes.layers];
  const near = 2 * (both.bandwidth - 1) * h * d + 1;
  const far = h * d * (d + 1);
  assert.equal(numbers(both, 10), layers * (near + far) + 1);
  assert.equal(numbers(both, 1_000_000), numbers(both, 10));
  assert.equal(numbers({ kind: "softmax" }, 101) - numbers({ kind: "softmax" }, 1), layers * 100 * 2 * h * d);
});

test("behind its length it goes on: fields see what they would have, softmax attention the last tokens", () => {
  const tokens = tokensOf(Array.from({ length: 24 }, (_, i) => (i * i + (i % 5)) % 7));
  const row = (x: Tensor, i: number): Tensor => slice(x, [0, i], [2, i + 1]);
  const lastOf = (attention: AttentionOptions): readonly [Tensor, (from: number) => Tensor] => {
    const model = decoder({ ...sizes, layers: 1, positions: "none", attention });
    const params = shaken(model.init(random.key(1)));
    const { start, step } = recurrence(model, { length: 5 });
    let state = start({ batch: [2], dtype: "float64" });
    let y = tokens;
    for (let i = 0; i < 12; i++) [y, state] = step(params, row(tokens, i), state);
    return [y, (from) => row(model.apply(params, slice(tokens, [0, from])), 11 - from)];
  };
  const [fields, ofFields] = lastOf(both);
  agree("fields", fields, ofFields(0), { tolerance: 1e-9 });
  const [softmax, ofSoftmax] = lastOf({ kind: "softmax" });
  agree("softmax", softmax, ofSoftmax(7), { tolerance: 1e-9 });
});

/** The mean of all values so far. */
const soFar: Attention = {
  init: () => ({}),
  apply(_, __, ___, v) {
    const counts = add(expandDims(iota(v.shape[v.shape.length - 2]), -1), 1);
    return div(cumsum(v, { axis: -2 }), counts);
  },
};

test("attention of one's own goes token by token where it says how", () => {
  const options = { ...sizes, kind: "label-tokens", classes: 7, causal: true } as const;
  const tokens = tokensOf([1, 2, 3, 4, 5, 6]);
  const walking: Attention = {
    ...soFar,
    recurrence: (): AttentionRecurrence<unknown, { readonly total: Tensor; readonly count: Tensor }> => ({
      start: ({ batch, dtype }) => ({ total: zeros([...batch, 2, 1, 4], { dtype }), count: tensor(0) }),
      step(_, __, ___, v, ____, state) {
        const [total, count] = [add(state.total, v), add(state.count, 1)];
        return [div(total, count), { total, count }];
      },
    }),
  };
  const model = fmmformer({ ...options, attention: walking });
  const params = shaken(model.init(random.key(0)));
  agree("rows", oneByOne(model, params, tokens, "float64"), model.apply(params, tokens), { tolerance: 1e-9 });
});

test("what cannot go token by token is told", () => {
  const of =
    (layer: Layer<never>, length = 4) =>
    () =>
      recurrence(layer, { length });
  const options = { ...sizes, kind: "label-tokens", classes: 7 } as const;
  const remedy = "set causal: true, and give attention of your own a recurrence";
  const refused = { name: "TypeError", message: new RegExp(`^recurrence: expected a decoder, .*; ${remedy}$`) };
  assert.throws(of(fmmformer(options) as Layer<never>), refused);
  assert.throws(of(fmmformer({ ...options, causal: true, attention: soFar }) as Layer<never>), refused);
  assert.throws(of(fmmformer({ ...sizes, classes: 2, causal: true }) as Layer<never>), refused);
  const model = decoder({ ...sizes, attention: both });
  assert.throws(of(model as Layer<never>, 0), /^RangeError: recurrence: expected length to be an integer ≥ 1, got 0$/);
  assert.throws(
    of(model as Layer<never>, 10),
    /^RangeError: .*length ≤ 9.*, got 10; give the model a larger length, or/,
  );
  // Attention of ours as one's own, which sees what comes later.
  const both2 = attention({ kind: "fmm", bandwidth: 2 }, { width: 8, heads: 2, headWidth: 4, causal: false });
  const all = attention({ kind: "softmax" }, { width: 8, heads: 2, headWidth: 4, causal: false });
  for (const own of [both2, all]) assert.throws(of(decoder({ ...sizes, attention: own }) as Layer<never>), refused);

  const params = model.init(random.key(0));
  const { start, step } = recurrence(model, { length: 4 });
  const two = tensor([[1, 2]], { dtype: "int32" });
  assert.throws(() => step(params, two, start({ batch: [1] })), {
    name: "ShapeError",
    message: "tokenEmbedding: expected one token (…b, 1), got (1, 2); apply the layer to several",
  });
  const layer = multiHeadAttention({ width: 8, heads: 2, causal: true, attention: both });
  const walk = recurrence(layer, { length: 4 });
  assert.throws(() => walk.step(layer.init(random.key(0)), zeros([2, 8]), walk.start()), {
    name: "ShapeError",
    message: "multiHeadAttention: expected one token (…b, 1, c), got (2, 8); apply the layer to several",
  });
  assert.throws(() => walk.step(layer.init(random.key(0)), zeros([3, 1, 8]), walk.start()), {
    name: "ShapeError",
    message:
      "recurrence: expected tokens of the batch () that it started with, got (3,); give start the batch of the tokens",
  });
});

test("a step is a step of scan, differentiable, under vmap, and of every engine", async () => {
  const model = decoder({ ...sizes, layers: 1, attention: { ...both, kernels: ["elu", "sigmoid"], disjoint: true } });
  const params = shaken(model.init(random.key(0)));
  const tokens = tokensOf([1, 6, 2, 5, 3, 4, 0, 2, 2, 1, 5, 6]);
  const { start, step } = recurrence(model, { length: 6 });
  const scanned = (p: typeof params, ids: Tensor): Tensor => {
    const walk = (state: unknown, id: Tensor): [unknown, Tensor] => {
      const [y, next] = step(p, reshape(id, [1]), state);
      return [next, y];
    };
    const [, rows] = scan(walk, start({ dtype: "float64" }), ids);
    return reshape(rows, [6, 7]);
  };
  const whole = model.apply(params, tokens);
  const mapped = vmap(scanned, { in: [null, 0] });
  agree("scan under vmap", mapped(params, tokens), whole, { tolerance: 1e-9 });
  const loss = (f: (p: typeof params) => Tensor) => (p: typeof params) => sum(mul(f(p), whole));
  const expected = grad(loss((p) => model.apply(p, tokens)))(params);
  agree("gradients of scan", grad(loss((p) => mapped(p, tokens)))(params), expected, { tolerance: 1e-8 });

  const single = model.init(random.key(1));
  const run = jit((state: unknown, id: Tensor) => step(single, id, state), { engine: gpu({ mode: "cpu" }) });
  const [row] = await run(start({ batch: [2] }), tokenAt(tokens, 0));
  agree("gpu", row, model.apply(single, tokenAt(tokens, 0)), { tolerance: 1e-5 });
});
