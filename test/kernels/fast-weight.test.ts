import assert from "node:assert/strict";
import { test } from "node:test";
import {
  add,
  concat,
  cumsum,
  div,
  expandDims,
  eye,
  grad,
  matmul,
  mul,
  ones,
  random,
  ShapeError,
  slice,
  sub,
  sum,
  type Tensor,
  take,
  tensor,
  trace,
  transpose,
  vmap,
  zeros,
} from "@fmmformer/autodiff";
import { causalNormalizer, fastWeight, featureMaps, l1Normalized } from "@fmmformer/kernels";
import {
  agree,
  agreesWithOracle,
  commutesWithJit,
  commutesWithVmap,
  distinctSizes,
  growsLinearly,
  hasGradient,
  isLocal,
  isPure,
  keys,
  refusesOtherSizes,
  staysFinite,
  tensors,
} from "@fmmformer/kernels/laws";
import * as oracles from "@fmmformer/kernels/oracles";
import fc from "fast-check";

type Args = [q: Tensor, k: Tensor, v: Tensor, beta: Tensor, state: Tensor];
type DeltaRule = (...args: Args) => [o: Tensor, state: Tensor];

interface Use {
  /** From 1 to beyond the sequence, which it need not divide. */
  readonly chunk: number;
  /** Arguments of two calls. */
  readonly calls: readonly [Args, Args];
}

const uses: fc.Arbitrary<Use> = distinctSizes(["b", "h", "n", "f", "m"], { max: 7 }).chain(({ b, h, n, f, m }) => {
  const call = fc.tuple(
    tensors([b, h, n, f]),
    tensors([b, h, n, f], { low: -0.8, high: 0.8 }),
    tensors([b, h, n, m]),
    tensors([b, h, n], { low: 0, high: 1 }),
    tensors([b, h, f, m]),
  );
  return fc.record({ chunk: fc.integer({ min: 1, max: 8 }), calls: fc.tuple(call, call) });
});

function opOf(chunk: number): DeltaRule {
  return (q, k, v, beta, state) => fastWeight(q, k, v, beta, { chunk, state, returnState: true });
}

test("the chunked delta rule is its recurrence, and so are its gradients", () => {
  fc.assert(
    fc.property(uses, keys(), ({ chunk, calls: [args] }, key) => {
      const oracle: DeltaRule = (q, k, v, beta, state) => oracles.fastWeight(q, k, v, beta, { state });
      agreesWithOracle(opOf(chunk), oracle, args, { key, tolerance: 1e-11 });
    }),
  );
});

test("chunks of any size give one answer, and one gradient", () => {
  fc.assert(
    fc.property(uses, fc.integer({ min: 1, max: 64 }), keys(), ({ chunk, calls: [args] }, other, key) => {
      agreesWithOracle(opOf(chunk), opOf(other), args, { key, tolerance: 1e-11 });
    }),
    { numRuns: 50 },
  );
});

test("its derivatives of order one to three are those that differences show", () => {
  fc.assert(
    fc.property(uses, keys(), ({ chunk, calls: [args] }, key) => hasGradient(opOf(chunk), args, { order: 3, key })),
    { numRuns: 10 },
  );
});

test("[0, i) and then [i, n) from its memory give what [0, n) gives, and its gradients", () => {
  fc.assert(
    fc.property(uses, fc.nat(), keys(), ({ chunk, calls: [args] }, cut, key) => {
      const n = args[3].shape[2];
      const i = cut % (n + 1);
      const part = (x: Tensor, from: number, to: number): Tensor =>
        slice(x, [0, 0, from], [...x.shape.slice(0, 2), to]);
      const inParts: DeltaRule = (q, k, v, beta, state) => {
        const run = (from: number, to: number, state: Tensor): [Tensor, Tensor] => {
          const [a, b, c, d] = [q, k, v, beta].map((x) => part(x, from, to));
          return opOf(chunk)(a, b, c, d, state);
        };
        const [o, between] = run(0, i, state);
        const [rest, last] = run(i, n, between);
        return [concat([o, rest], { axis: 2 }), last];
      };
      agreesWithOracle(inParts, opOf(chunk), args, { key, tolerance: 1e-11 });
    }),
    { numRuns: 50 },
  );
});

test("without a state it starts from zeros", () => {
  fc.assert(
    fc.property(uses, ({ chunk, calls: [[q, k, v, beta, state]] }) => {
      const given = { chunk, returnState: true } as const;
      const zero = zeros(state.shape, { dtype: "float64" });
      agree("state", fastWeight(q, k, v, beta, given), fastWeight(q, k, v, beta, { ...given, state: zero }));
      agree("output", fastWeight(q, k, v, beta, { chunk }), fastWeight(q, k, v, beta, given)[0]);
    }),
    { numRuns: 20 },
  );
});

test("no token sees the future, nor do its gradients", () => {
  fc.assert(
    fc.property(uses, keys(), ({ chunk, calls: [[q, k, v, beta]] }, key) => {
      const attend = (q: Tensor, k: Tensor, v: Tensor): Tensor => fastWeight(q, k, v, beta, { chunk });
      isLocal(attend, [q, k, v], (i, j) => j <= i, { key });
    }),
    { numRuns: 20 },
  );
});

test("with β = 1 and orthonormal keys a query that is a key retrieves its value", () => {
  fc.assert(
    fc.property(keys(), fc.integer({ min: 1, max: 8 }), (key, chunk) => {
      const [axis, values] = random.split(key);
      const u = random.normal(axis, [6, 1], { dtype: "float64" });
      // A reflection (Householder): orthonormal rows.
      const k = sub(eye(6), mul(matmul(u, transpose(u)), 2 / sum(mul(u, u)).item()));
      const v = random.normal(values, [1, 1, 6, 3], { dtype: "float64" });
      const [x, beta] = [mul(k, ones([1, 1, 6, 6])), ones([1, 1, 6])];
      const [o, state] = fastWeight(x, x, v, beta, { chunk, returnState: true });
      agree("at once", o, v, { tolerance: 1e-12 });
      agree("at the end", matmul(k, state), v, { tolerance: 1e-12 });
    }),
  );
});

test("a key that is written again forgets its old value, and β = 0 writes nothing", () => {
  const k = mul(eye(2), ones([1, 1, 2, 2]));
  const again = concat([k, k, k], { axis: 2 });
  const v = tensor([[[[1, 2], [3, 4], [5, 6], [7, 8], [9, 10], [11, 12]]]]); // biome-ignore format: one row a token
  const beta = tensor([[[1, 1, 1, 1, 0, 0]]]);
  const [, state] = fastWeight(again, again, v, beta, { chunk: 4, returnState: true });
  assert.deepEqual(take(take(state, 0), 0).toArray(), [
    [5, 6],
    [7, 8],
  ]);
});

test("divided by the causal row sums of its features it is the far field of the authors' language models", () => {
  fc.assert(
    fc.property(uses, ({ chunk, calls: [[x, y, v, beta]] }) => {
      const [q, k] = [x, y].map((t) => l1Normalized(featureMaps.elu.apply(t)));
      const sums = sum(mul(q, cumsum(k, { axis: -2 })), { axis: -1, keepDims: true });
      const [expected] = oracles.fastWeight(q, k, v, beta);
      const [z] = causalNormalizer(q, k);
      const far = div(fastWeight(q, k, v, beta, { chunk }), add(expandDims(z, -1), 1e-5));
      agree("far field", far, div(expected, add(sums, 1e-5)), { tolerance: 1e-11 });
    }),
    { numRuns: 20 },
  );
});

test("vmap and jit leave it what it is, whichever arguments are mapped", () => {
  fc.assert(
    fc.property(uses, fc.nat({ max: 4 }), keys(), ({ chunk, calls: [first, second] }, one, key) => {
      const op = opOf(chunk);
      commutesWithVmap(op, [first, second], { key, tolerance: 1e-11 });
      for (const shared of [(i: number) => i === one, (i: number) => i !== one]) {
        const axes = first.map((_, i) => (shared(i) ? null : 0));
        commutesWithVmap(op, [first, second], { in: axes, key, tolerance: 1e-11 });
      }
      commutesWithJit(op, first, { key });
      isPure(op, first);
    }),
    { numRuns: 20 },
  );
});

test("in the program of its gradient it is one equation and its pullback another, also under vmap", () => {
  const x = ones([2, 3, 5, 4]);
  const loss = (q: Tensor, k: Tensor, v: Tensor, beta: Tensor): Tensor => sum(fastWeight(q, k, v, beta, { chunk: 2 }));
  const all = grad(loss, { argnums: [0, 1, 2, 3] });
  const once = String(trace(all)(x, x, x, ones([2, 3, 5])));
  assert.match(once, / = fastWeight \{chunk: 2\} /);
  const [batch, beta] = [ones([6, 2, 3, 5, 4]), ones([6, 2, 3, 5])];
  const mapped = String(trace(vmap(all))(batch, batch, batch, beta));
  for (const text of [once, mapped]) {
    assert.equal(text.match(/ = fastWeight /g)?.length, 1, text);
    assert.equal(text.match(/ = fastWeight\.pullback /g)?.length, 1, text);
    assert.doesNotMatch(text, /scan|triangularSolve/);
  }
});

test("nothing in it grows with n²", () => {
  const rule = (q: Tensor, k: Tensor, v: Tensor): Tensor =>
    fastWeight(q, k, v, ones(v.shape.slice(0, -1)), { chunk: 8 });
  growsLinearly(rule, (n): [Tensor, Tensor, Tensor] => [ones([1, 1, n, 4]), ones([1, 1, n, 4]), ones([1, 1, n, 4])]);
});

test("one token, and values of ±10⁴, stay finite in float32", () => {
  const k = featureMaps.unitSilu.apply(random.normal(random.key(2), [1, 2, 70, 3]));
  const v = mul(1e4, random.normal(random.key(3), [1, 2, 70, 4]));
  const rule = (q: Tensor, k: Tensor, v: Tensor): Tensor => fastWeight(q, k, v, ones(v.shape.slice(0, -1)));
  staysFinite(rule, [mul(k, 1e4), k, v]);
  const one = (x: Tensor): Tensor => slice(x, [], [1, 2, 1]);
  staysFinite(rule, [one(k), one(k), one(v)]);
});

test("what does not fit is refused, with the remedy", () => {
  const [q, v] = [ones([2, 3, 5, 4]), ones([2, 3, 5, 6])];
  const args: Args = [q, q, v, ones([2, 3, 5]), ones([2, 3, 4, 6])];
  refusesOtherSizes((...given: Args) => opOf(2)(...given), args, { name: "fastWeight" });
  assert.throws(() => fastWeight(q, q, v, ones([2, 5, 3])), {
    name: ShapeError.name,
    message: "fastWeight: expected beta (2, h=3, n=5), got (2, 5, 3)",
  });
  assert.throws(() => fastWeight(q, q, v, ones([2, 3, 5]), { chunk: 0 }), {
    name: "RangeError",
    message: "fastWeight: expected a whole number ≥ 1 as chunk, got 0",
  });
});
