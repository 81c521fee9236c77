import assert from "node:assert/strict";
import { test } from "node:test";
import * as ad from "@fmmformer/autodiff";
import {
  argmax,
  argmin,
  argsort,
  cumsum,
  erf,
  full,
  gelu,
  grad,
  logSoftmax,
  logSumExp,
  matmul,
  max,
  maximum,
  mean,
  min,
  minimum,
  relu,
  type Scalar,
  sigmoid,
  softmax,
  softplus,
  sum,
  type Tensor,
  tanh,
  tensor,
  vjp,
  zeros,
} from "@fmmformer/autodiff";

const float64 = (...values: number[]): Tensor => tensor(Float64Array.from(values));

// Fixed-point numbers of 400 bits, in which the series of erf is exact far beyond float64.
const bits = 400n;
const fixed = (x: number): bigint => (BigInt(x * 2 ** 40) << bits) >> 40n;
const times = (a: bigint, b: bigint): bigint => (a * b) >> bits;

function squareRoot(x: bigint): bigint {
  let y = x;
  for (let i = 0; i < 300; i++) y = (y + (x << bits) / y) >> 1n;
  return y;
}

/** arctan(1/n). */
function arctangent(n: bigint): bigint {
  let [power, total] = [(1n << bits) / n, 0n];
  for (let k = 0n; k < 300n; k++) {
    total += (k % 2n === 0n ? power : -power) / (2n * k + 1n);
    power /= n * n;
  }
  return total;
}

const pi = 16n * arctangent(5n) - 4n * arctangent(239n);

/** 2/√π Σ (−1)ⁿ x^{2n+1} / (n! (2n + 1)). */
function exactErf(x: number): number {
  const [at, squared] = [fixed(x), times(fixed(x), fixed(x))];
  let [power, total] = [at, 0n];
  for (let n = 0n; n < 250n; n++) {
    total += power / (2n * n + 1n);
    power = -times(power, squared) / (n + 1n);
  }
  const result = (2n * (total << bits)) / squareRoot(pi);
  return Number(result >> (bits - 80n)) / 2 ** 80;
}

test("erf is right to 10⁻¹⁵ of its value from 2⁻²⁰ to 6.5", () => {
  const at = Array.from({ length: 400 }, (_, i) =>
    i < 20 ? 2 ** (i - 20) : Math.round((i - 19) * 0.017 * 2 ** 20) / 2 ** 20,
  );
  const { data } = erf(float64(...at, ...at.map((x) => -x)));
  at.forEach((x, i) => {
    const expected = exactErf(x);
    assert.ok(Math.abs(data[i] - expected) <= 1e-15 * expected, `erf(${x}): expected ${expected}, got ${data[i]}`);
    assert.equal(data[at.length + i], -data[i]);
  });
  assert.deepEqual(erf(float64(NaN, Infinity, -Infinity, 0)).toArray(), [NaN, 1, -1, 0]);
});

test("a long sum keeps its digits", () => {
  const tenths = full([10_000_000], 0.1);
  assert.ok(Math.abs(sum(tenths).item() - 1e6) < 1);
  assert.ok(Math.abs(mean(tenths).item() - 0.1) < 1e-7);
  const million = full([1_000_000], 0.1);
  assert.ok(Math.abs(cumsum(million).data[999_999] - 1e5) < 0.1);
  assert.ok(Math.abs(matmul(million, full([1_000_000], 1)).item() - 1e5) < 0.1);
});

const special = [0, -0, 1, -1, 1e-45, -1e-45, 1e-38, 88, -88, 1e4, -1e4, 3e38, -3e38, Infinity, -Infinity, NaN];

test("functions of one value follow IEEE 754 at zeros, subnormals, infinities and NaN", () => {
  const pairs: readonly (readonly [(x: Scalar) => Tensor, (x: number) => number])[] = [
    [ad.neg, (x) => -x],
    [ad.exp, Math.exp],
    [ad.log, Math.log],
    [ad.log1p, Math.log1p],
    [ad.expm1, Math.expm1],
    [ad.sqrt, Math.sqrt],
    [tanh, Math.tanh],
    [ad.abs, Math.abs],
    [ad.sign, Math.sign],
    [ad.floor, Math.floor],
    [ad.ceil, (x) => Math.ceil(x) + 0],
    [ad.sin, Math.sin],
    [sigmoid, (x) => 1 / (1 + Math.exp(-x))],
    [softplus, (x) => (x > 50 ? x : Math.log1p(Math.exp(x)))],
    [relu, (x) => Math.max(x, 0)],
    [ad.reciprocal, (x) => 1 / x],
    [ad.square, (x) => x * x],
  ];
  const x = tensor(special);
  for (const [op, f] of pairs) {
    const y = op(x);
    x.data.forEach((v, i) => {
      const expected = Math.fround(f(v));
      const close = Object.is(y.data[i], expected) || Math.abs(y.data[i] - expected) <= 2e-7 * Math.abs(expected);
      assert.ok(close, `${op.name || "op"}(${v}): expected ${expected}, got ${y.data[i]}`);
    });
  }
});

test("activations stay finite where their limits are, and so do their derivatives", () => {
  const x = tensor([-1e30, -1e4, -50, -1e-45, 0, 1e-45, 50, 1e4, 1e30]);
  for (const op of [tanh, sigmoid, softplus, relu, ad.elu, ad.silu, gelu, erf]) {
    const [y, pull] = vjp(op as (v: Tensor) => Tensor, x);
    for (const t of [y, ...pull(full([9], 1))]) assert.ok(t.data.every(Number.isFinite), `${op.name}: ${t}`);
  }
});

test("NaN goes through maximum, minimum, max, min, and is what argmax points at", () => {
  const [x, y] = [tensor([NaN, 1, Infinity, 0]), tensor([1, NaN, 2, -0])];
  assert.deepEqual(maximum(x, y).toArray(), [NaN, NaN, Infinity, 0]);
  assert.deepEqual(minimum(x, y).toArray(), [NaN, NaN, 2, -0]);
  assert.ok(Number.isNaN(max(x).item()) && Number.isNaN(min(x).item()));
  assert.deepEqual([argmax(tensor([1, NaN, 3])).item(), argmin(tensor([1, NaN, 3])).item()], [1, 1]);
  assert.deepEqual(argsort(tensor([NaN, 1, -Infinity])).toArray(), [2, 1, 0]);
  assert.deepEqual(
    [max(tensor([-Infinity, -Infinity])).item(), argmax(tensor([-Infinity, -Infinity])).item()],
    [-Infinity, 0],
  );
});

test("what where does not choose has no effect, in value or derivative", () => {
  const safe = (x: Tensor): Tensor => sum(ad.where(ad.greater(x, 0), ad.log(ad.where(ad.greater(x, 0), x, 1)), 0));
  assert.deepEqual(grad(safe)(tensor([2, 0, -1])).toArray(), [0.5, 0, 0]);
  assert.deepEqual(ad.where(tensor([true, false]), tensor([1, NaN]), tensor([NaN, 2])).toArray(), [1, 2]);
});

test("softmax and logSumExp neither overflow nor lose digits at logits of ±10⁴", () => {
  const x = tensor([
    [1e4, 1e4 - 1, -1e4],
    [-1e4, -1e4, -1e4 - 2],
  ]);
  const [a, b] = [1 / (1 + Math.exp(-1)), 1 / (2 + Math.exp(-2))];
  const close = (t: Tensor, expected: readonly number[]): void =>
    t.data.forEach((v, i) => {
      assert.ok(Math.abs(v - expected[i]) <= 2e-7 * Math.max(1, Math.abs(expected[i])), `${t} for ${expected}`);
    });
  const p = [a, 1 - a, 0, b, b, 1 - 2 * b];
  close(softmax(x), p);
  close(logSoftmax(x), [
    Math.log(a),
    Math.log(1 - a),
    -2e4 + Math.log(a),
    Math.log(b),
    Math.log(b),
    Math.log(1 - 2 * b),
  ]);
  close(logSumExp(x, { axis: 1 }), [1e4 - Math.log(a), -1e4 - Math.log(b)]);
  close(grad((v: Tensor) => sum(logSumExp(v, { axis: 1 })))(x), p);
});

test("rows with −∞: left out where others are finite, documented where none is", () => {
  const masked = tensor([0, -Infinity, 0]);
  assert.deepEqual(softmax(masked).toArray(), [0.5, 0, 0.5]);
  assert.deepEqual(grad((v: Tensor) => logSumExp(v))(masked).toArray(), [0.5, 0, 0.5]);
  assert.deepEqual(logSoftmax(masked).toArray(), [-Math.LN2, -Infinity, -Math.LN2].map(Math.fround));
  const empty = tensor([-Infinity, -Infinity]);
  assert.equal(logSumExp(empty).item(), -Infinity);
  assert.equal(logSumExp(tensor([1, Infinity])).item(), Infinity);
  assert.deepEqual(softmax(empty).toArray(), [NaN, NaN]);
});

test("sums of nothing are 0, means NaN, and empty tensors go through", () => {
  assert.deepEqual([sum(zeros([0])).item(), mean(zeros([0])).item()], [0, NaN]);
  assert.deepEqual(sum(zeros([2, 0]), { axis: 1 }).toArray(), [0, 0]);
  assert.deepEqual(
    [softmax(zeros([0, 3])).shape, matmul(zeros([2, 0]), zeros([0, 3])).toArray()],
    [
      [0, 3],
      [
        [0, 0, 0],
        [0, 0, 0],
      ],
    ],
  );
  assert.deepEqual(matmul(zeros([2, 3, 0]), zeros([0, 4])).shape, [2, 3, 4]);
  assert.deepEqual(grad((x: Tensor) => sum(matmul(x, zeros([0, 4]))))(zeros([2, 3, 0])).shape, [2, 3, 0]);
});
