import assert from "node:assert/strict";
import { test } from "node:test";
import {
  cos,
  exp,
  expm1,
  jit,
  log,
  log1p,
  type Scalar,
  sigmoid,
  sin,
  softplus,
  type Tensor,
  tanh,
  tensor,
  vjp,
} from "@fmmformer/autodiff";
import { featureMaps, gelu } from "@fmmformer/kernels";
import { wasm } from "@fmmformer/kernels/wasm";

// Elementary functions in float32, at bit patterns from all over the range and at the edges of it.

const engine = wasm();

const functions: Readonly<Record<string, readonly [op: (x: Scalar) => Tensor, exact: (x: number) => number]>> = {
  exp: [exp, Math.exp],
  expm1: [expm1, Math.expm1],
  log: [log, Math.log],
  log1p: [log1p, Math.log1p],
  tanh: [tanh, Math.tanh],
  sigmoid: [sigmoid, (x) => (x < 0 ? Math.exp(x) / (1 + Math.exp(x)) : 1 / (1 + Math.exp(-x)))],
  softplus: [softplus, (x) => Math.max(x, 0) + Math.log1p(Math.exp(-Math.abs(x)))],
  sin: [sin, Math.sin],
  cos: [cos, Math.cos],
  "elu + 1": [(x) => featureMaps.elu.apply(x as Tensor), (x) => (x > 0 ? x + 1 : Math.exp(x))],
};

const edges = [
  0,
  -0,
  Infinity,
  -Infinity,
  NaN,
  1,
  -1,
  1e-45,
  -1e-45,
  1.1754944e-38,
  3.4028235e38,
  -3.4028235e38,
  88.72284,
  88.722839,
  -87.33655,
  -103.97,
  -104,
];

/** Every 16411th bit pattern, which are 261,726 numbers of every exponent, and the edges. */
function points(): Float32Array {
  const patterns = new Uint32Array(Math.ceil(2 ** 32 / 16411));
  for (let i = 0; i < patterns.length; i++) patterns[i] = i * 16411;
  return Float32Array.from([...edges, ...new Float32Array(patterns.buffer)]);
}

/** How far float32 numbers next to y are apart. */
function ulp(y: number): number {
  const exponent = Math.max(-126, Math.floor(Math.log2(Math.abs(y))));
  return 2 ** (exponent - 23);
}

for (const [name, [op, exact]] of Object.entries(functions)) {
  test(`${name} errs by at most 2 ulp, infinities, NaN and subnormals included`, () => {
    const x = points();
    const y = jit(op, { engine })(tensor(x)).data;
    x.forEach((v, i) => {
      const wanted = exact(v);
      const rounded = Math.fround(wanted);
      const right = Number.isFinite(rounded)
        ? Math.abs(y[i] - wanted) <= 2 * ulp(wanted || 1e-45)
        : Object.is(y[i], rounded);
      assert.ok(right, `${name}(${v}): expected ${rounded}, got ${y[i]}`);
    });
  });
}

test("gelu and its slope are the same bits made together and apart", () => {
  const x = tensor(points());
  const one = tensor(new Float32Array(x.size).fill(1));
  const both = jit(
    (v: Tensor) => {
      const [y, pull] = vjp(gelu, v);
      return [y, pull(one)[0]] as const;
    },
    { engine },
  )(x);
  const apart = [jit(gelu, { engine })(x), jit((v: Tensor) => vjp(gelu, v)[1](one)[0], { engine })(x)];
  apart.forEach(({ data }, at) => {
    data.forEach((v, i) => {
      assert.ok(Object.is(both[at].data[i], v), `${both[at].data[i]} for ${v} at ${x.data[i]}`);
    });
  });
});

test("gelu and its slope at infinity, where the square overflows, and for NaN", () => {
  const x = tensor(new Float32Array([Infinity, 3e30, 14, -14, -3e30, -Infinity, NaN]));
  const one = tensor(new Float32Array(x.size).fill(1));
  const [y, slope] = [jit(gelu, { engine })(x), jit((v: Tensor) => vjp(gelu, v)[1](one)[0], { engine })(x)];
  assert.deepEqual([...y.data].map(Math.abs), [Infinity, Math.fround(3e30), 14, 0, 0, 0, NaN]);
  assert.deepEqual([...slope.data].map(Math.abs), [1, 1, 1, 0, 0, 0, NaN]);
});
