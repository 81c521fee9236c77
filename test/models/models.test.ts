import assert from "node:assert/strict";
import { test } from "node:test";
import {
  allClose,
  cast,
  checkGradients,
  flatten,
  jit,
  mul,
  random,
  type Tensor,
  tensor,
  valueAndGrad,
  vmap,
} from "@fmmformer/autodiff";
import {
  type Attention,
  block,
  classifier,
  crossEntropy,
  decoder,
  encoder,
  type FmmformerOptions,
  fmmformer,
  parameterCount,
  pool,
  preset,
  tokenLabeller,
} from "@fmmformer/models";
import { shaken } from "./parameters.ts";

const key = random.key(0);
const small = { vocabulary: 9, length: 8, width: 6, heads: 2, hidden: 5, layers: 2 } as const;
const fmm = { kind: "fmm", bandwidth: 2, kernels: ["softplus"] } as const;

function ids(seed: number, shape: readonly number[], vocabulary = 9): Tensor {
  const size = shape.reduce((a, c) => a * c, 1);
  const drawn = random.uniform(random.key(seed), [size]).data;
  return tensor(
    Int32Array.from(drawn, (u) => 1 + Math.floor(u * (vocabulary - 1))),
    { shape },
  );
}

/** b sequences whose first tokens are there. */
function masked(lengths: readonly number[], n: number): Tensor {
  return tensor(
    Float32Array.from({ length: lengths.length * n }, (_, i) => Number(i % n < lengths[Math.floor(i / n)])),
    {
      shape: [lengths.length, n],
    },
  );
}

test("models give logits of the shape that their kind says, behind any batch axes", () => {
  const logits = (options: Partial<FmmformerOptions>, shape: readonly number[]): readonly number[] => {
    const model = fmmformer({ ...small, classes: 4, attention: fmm, ...options });
    return model.apply(model.init(key), ids(1, shape)).shape;
  };
  assert.deepEqual(logits({}, [3, 7]), [3, 4]);
  assert.deepEqual(logits({}, [7]), [4]);
  assert.deepEqual(logits({}, [2, 3, 7]), [2, 3, 4]);
  assert.deepEqual(logits({ kind: "classify-pairs" }, [3, 2, 7]), [3, 4]);
  assert.deepEqual(logits({ kind: "label-tokens" }, [3, 7]), [3, 7, 4]);
});

for (const order of ["pre", "post"] as const) {
  test(`a ${order}-norm model has the gradients that differences show, of every parameter`, () => {
    const options = { ...small, vocabulary: 4, layers: 1, order, norm: order === "pre" ? "layer" : "rms" } as const;
    const model = classifier({ ...options, classes: 3, attention: fmm });
    const params = shaken(model.init(key));
    const [tokens, labels] = [ids(2, [2, 6], 4), tensor([0, 2], { dtype: "int32" })];
    const mask = masked([6, 4], 6);
    const loss = (p: typeof params): Tensor => crossEntropy(model.apply(p, tokens, { mask }), { labels });
    checkGradients(loss, [params], { tolerance: 1e-5 });
  });
}

test("pre-norm adds to what came in; post-norm ends in a normalisation", () => {
  const x = random.normal(random.key(3), [2, 5, 6], { dtype: "float64" });
  const zero = (attention: typeof fmm, order: "pre" | "post"): Tensor => {
    const layer = block({ width: 6, heads: 2, hidden: 4, attention, order });
    const params = layer.init(key);
    const muted = {
      ...params,
      attention: { ...params.attention, output: scaled(params.attention.output, 0) },
      feedForward: { ...params.feedForward, down: scaled(params.feedForward.down, 0) },
    };
    return layer.apply(muted, x);
  };
  assert.deepEqual(zero(fmm, "pre").toArray(), x.toArray());
  const y = zero(fmm, "post").toArray() as number[][][];
  for (const row of y.flat()) assert.ok(Math.abs(row.reduce((a, c) => a + c, 0)) < 1e-6);
});

function scaled<T extends object>(params: T, by: number): T {
  return Object.fromEntries(Object.entries(params).map(([name, w]) => [name, mul(w as Tensor, by)])) as T;
}

test("padding changes nothing: neither what it holds nor how much of it there is", () => {
  const model = classifier({ ...small, classes: 3, attention: fmm });
  const params = shaken(model.init(key));
  const tokens = ids(4, [1, 5]);
  const alone = model.apply(params, tokens);
  const padded = (seed: number): Tensor =>
    tensor(Int32Array.from([...tokens.data, ...ids(seed, [3]).data]), { shape: [1, 8] });
  const mask = masked([5], 8);
  const [first, second] = [5, 6].map((seed) => model.apply(params, padded(seed), { mask }));
  assert.deepEqual(first.toArray(), second.toArray());
  assert.ok(allClose(first, alone, { relative: 1e-9, absolute: 1e-12 }));
});

test("the authors' pooling divides by the length with padding, the correct one by the tokens", () => {
  const x = tensor([
    [
      [3, 6],
      [9, 0],
      [0, 0],
    ],
  ]);
  const mask = tensor([[1, 1, 0]]);
  assert.deepEqual(pool("padded-mean", x, mask).toArray(), [[4, 2]]);
  assert.deepEqual(pool("mean", x, mask).toArray(), [[6, 3]]);
  assert.deepEqual(pool("mean", x, null).toArray(), [[4, 2]]);
  assert.deepEqual(pool("mean", mul(x, 0), mul(mask, 0)).toArray(), [[0, 0]]);
});

test("an encoder gives zeros at padding", () => {
  const model = encoder({ ...small, attention: fmm });
  const y = model.apply(model.init(key), ids(5, [1, 4]), { mask: masked([3], 4) }).toArray() as number[][][];
  assert.ok(y[0][3].every((value) => value === 0));
  assert.ok(y[0][2].some((value) => value !== 0));
});

for (const kind of ["softmax", "linear", "band", "fmm", "fast-weight", "fmm-fast-weight"] as const) {
  test(`a decoder of ${kind} attention predicts from the tokens so far`, () => {
    for (const positions of ["learned", "beside", "none"] as const) {
      const model = decoder({ ...small, width: 8, attention: { kind, bandwidth: 3 }, positions });
      const params = shaken(model.init(key));
      const tokens = ids(6, [1, 8]);
      const until = (i: number, t: Tensor): unknown =>
        (model.apply(params, t).toArray() as number[][][])[0].slice(0, i + 1);
      for (const i of [0, 3, 6]) {
        const other = tensor(
          Int32Array.from(tokens.data, (id, j) => (j > i ? (id % 8) + 1 : id)),
          { shape: [1, 8] },
        );
        assert.deepEqual(until(i, other), until(i, tokens));
      }
    }
  });
}

test("a tied head multiplies by the table of the embedding", () => {
  const options = { ...small, classes: 9, attention: fmm, causal: true };
  const [tied, free] = [tokenLabeller({ ...options, tied: true }), tokenLabeller(options)];
  const [a, c] = [tied.init(key), free.init(key)];
  assert.deepEqual(Object.keys(a.head), ["bias"]);
  assert.equal(parameterCount(c) - parameterCount(a), 9 * 6);
  const table = cast(a.encoder.embedding.tokens.table, "float64");
  const x = encoder(options)
    .apply(a.encoder, ids(7, [1, 3]))
    .toArray() as number[][][];
  const logits = tied.apply(a, ids(7, [1, 3])).toArray() as number[][][];
  const dot = x[0][2].reduce((total, value, i) => total + value * table.data[4 * 6 + i], 0);
  assert.ok(Math.abs(dot - logits[0][2][4]) < 1e-6);
  assert.throws(() => tokenLabeller({ ...options, classes: 4, tied: true }), /^RangeError: tokenLabeller: .*classes=4/);
});

test("a pair classifier sees both sequences, and the order they are in", () => {
  const model = fmmformer({ ...small, kind: "classify-pairs", classes: 2, attention: fmm });
  const params = shaken(model.init(key));
  const pair = ids(8, [1, 2, 5]);
  const swapped = tensor(Int32Array.from([...pair.data.slice(5), ...pair.data.slice(0, 5)]), { shape: [1, 2, 5] });
  const [y, z] = [pair, swapped].map((tokens) => model.apply(params, tokens));
  assert.notDeepEqual(y.toArray(), z.toArray());
  const longer = tensor(Int32Array.from([...pair.data.slice(0, 5), 1, 2, ...pair.data.slice(5), 3, 4]), {
    shape: [1, 2, 7],
  });
  const mask = masked([5, 5], 7);
  const padded = model.apply(params, longer, { mask: tensor(mask.data, { shape: [1, 2, 7] }) });
  assert.ok(allClose(padded, y, { relative: 1e-9, absolute: 1e-12 }));
  assert.throws(() => model.apply(params, ids(8, [3, 5])), /^ShapeError: classifier: expected pairs/);
});

test("dropout is on with a key, the same for the same key, and off without", () => {
  const model = fmmformer({ ...small, classes: 3, attention: { ...fmm, dropout: 0.2 }, dropout: 0.3 });
  const params = shaken(model.init(key));
  const at = (k: Tensor | null): unknown => model.apply(params, ids(9, [2, 6]), { key: k }).toArray();
  assert.deepEqual(at(random.key(1)), at(random.key(1)));
  assert.notDeepEqual(at(random.key(1)), at(random.key(2)));
  assert.notDeepEqual(at(random.key(1)), at(null));
  assert.deepEqual(at(null), at(null));
});

test("final dropout drops of what comes out, and nothing else does", () => {
  const model = encoder({ ...small, attention: fmm, finalDropout: 0.5 });
  const params = shaken(model.init(key));
  const at = (k: Tensor | null): number[] => Array.from(model.apply(params, ids(9, [4, 8]), { key: k }).data);
  const [whole, dropped] = [at(null), at(random.key(3))];
  const kept = whole.flatMap((x, i) => (dropped[i] === 0 ? [] : [dropped[i] / x]));
  assert.ok(kept.every((ratio) => Math.abs(ratio - 2) < 1e-4));
  assert.ok(kept.length > 0.3 * whole.length && kept.length < 0.7 * whole.length, `${kept.length}`);
});

test("a model runs under jit, vmap and grad", () => {
  const model = fmmformer({ ...small, classes: 3, attention: fmm });
  const params = shaken(model.init(key));
  const [tokens, labels] = [ids(10, [2, 6]), tensor([1, 2], { dtype: "int32" })];
  const loss = (p: typeof params, t: Tensor, y: Tensor): Tensor => crossEntropy(model.apply(p, t), { labels: y });
  const [value, grads] = valueAndGrad(loss)(params, tokens, labels);
  const [compiled, compiledGrads] = jit(valueAndGrad(loss))(params, tokens, labels);
  assert.ok(allClose(compiled, value, { relative: 1e-12 }));
  flatten(compiledGrads).leaves.forEach((g, i) => {
    assert.ok(allClose(g, flatten(grads).leaves[i], { relative: 1e-9, absolute: 1e-12 }));
  });
  const one = vmap((t: Tensor) => model.apply(params, t))(tokens);
  assert.ok(allClose(one, model.apply(params, tokens), { relative: 1e-12 }));
});

test("a model with attention of a user's own trains and initialises like ours", () => {
  const own: Attention<{ gain: Tensor }> = {
    init: () => ({ gain: tensor([0.5]) }),
    apply: ({ gain }, _, __, v) => mul(v, gain),
  };
  const model = fmmformer({ ...small, classes: 3, attention: own });
  const params = shaken(model.init(key));
  const labels = tensor([1, 2], { dtype: "int32" });
  checkGradients((p: typeof params) => crossEntropy(model.apply(p, ids(11, [2, 5])), { labels }), [params], {
    tolerance: 1e-5,
  });
});

test("the released model of Long Range Arena has the parts that the paper's code has", () => {
  const model = fmmformer({ ...preset("listops/fmm-2-kernel-band5"), length: 48 });
  assert.equal(parameterCount(model.init(key)), 209_814 - (2048 - 48) * 64);
});

test("what cannot be is refused, with the nearest name", () => {
  const make = (options: object) => fmmformer({ ...small, classes: 3, ...options } as FmmformerOptions);
  const cases: [() => unknown, RegExp][] = [
    [() => make({ atention: "fmm" }), /^TypeError: fmmformer: expected options .*did you mean attention$/],
    [() => make({ kind: "classifi" }), /^TypeError: fmmformer: expected kind .*did you mean classify$/],
    [() => make({ attention: "bandd" }), /^TypeError: attention: expected kind .*did you mean band$/],
    [() => make({ order: "past" }), /^TypeError: block: expected order pre or post, got "past"; did you mean post$/],
    [() => make({ norm: "l" }), /^TypeError: norm: expected name layer or rms/],
    [() => make({ activation: "gelu2" }), /did you mean gelu$/],
    [() => make({ pooling: "max" }), /^TypeError: classifier: expected pooling mean or padded-mean/],
    [() => make({ layers: 0 }), /^RangeError: fmmformer: expected layers to be an integer ≥ 1, got 0$/],
    [
      () => make({ classes: undefined }),
      /^RangeError: fmmformer: expected classes to be an integer ≥ 1, got undefined$/,
    ],
    [
      () => make({ init: "norma" }),
      /^TypeError: linear: expected init torch or normal, got "norma"; did you mean normal$/,
    ],
    [() => make({ kind: "label-tokens", cutoffs: [3] }), /^RangeError: adaptiveSoftmax: expected cutoffs/],
    [() => make({ dropout: 1 }), /^RangeError: fmmformer: expected dropout from 0 to below 1, got 1$/],
    [() => make({ heads: 4 }), /^RangeError: multiHeadAttention: expected heads that divide width=6, got 4/],
  ];
  for (const [call, message] of cases)
    assert.throws(call, (error) => message.test(String(error)) || assert.fail(String(error)));
  const model = make({ attention: fmm });
  assert.throws(() => model.apply(model.init(key), ids(1, [2, 9])), /^ShapeError: learnedPositions: .*n ≤ 8/);
  assert.throws(
    () => model.apply(model.init(key), tensor([[9]], { dtype: "int32" })),
    /^RangeError: .*from 0 to 8, got 9/,
  );
  assert.throws(() => model.apply(model.init(key), ids(1, [2, 7]), { mask: masked([7, 7], 6) }), /^ShapeError: .*mask/);
});
