import assert from "node:assert/strict";
import { test } from "node:test";
import { grad, sum, type Tensor, tensor } from "@fmmformer/autodiff";
import { type FeatureMap, featureMaps, l1Normalized } from "@fmmformer/kernels";
import { agree, hasGradient, keys, staysFinite, tensors } from "@fmmformer/kernels/laws";
import fc from "fast-check";

const maps = Object.entries(featureMaps) as readonly (readonly [string, FeatureMap])[];
const signed = ["plainTanh", "leakyRelu", "unitSilu"];

/**
 * Φ(x) = ½ + e^{−x²/2} / √(2π) (x + x³/3 + x⁵/(3·5) + …), and far from 0, where that loses digits,
 *
 *     Φ(−t) = e^{−t²/2} / √(2π) / (t + 1/(t + 2/(t + 3/(t + …))))
 */
function cumulative(x: number): number {
  const density = Math.exp((-x * x) / 2) / Math.sqrt(2 * Math.PI);
  if (Math.abs(x) < 1.5) {
    let [sum, term] = [x, x];
    for (let k = 3; k < 100; k += 2) {
      term *= (x * x) / k;
      sum += term;
    }
    return 0.5 + density * sum;
  }
  const t = Math.abs(x);
  let below = t;
  for (let k = 200; k > 0; k--) below = t + k / below;
  return x < 0 ? density / below : 1 - density / below;
}

/** The maps of one number each, as the paper writes them. */
const formulas: { readonly [name: string]: (x: number) => number } = {
  elu: (x) => (x > 0 ? x : Math.expm1(x)) + 1,
  eluFlip: (x) => (x < 0 ? -x : Math.expm1(-x)) + 1,
  tanh: (x) => Math.tanh(x) + 1,
  tanhFlip: (x) => 1 - Math.tanh(x),
  plainTanh: (x) => Math.tanh(x),
  relu: (x) => Math.max(x, 0),
  celu: (x) => Math.max(x, 0) + Math.min(0, Math.expm1(x)) + 1,
  sigmoid: (x) => 1 / (1 + Math.exp(-x)),
  leakyRelu: (x) => (x > 0 ? x : 0.01 * x) + 1,
  softplus: (x) => Math.log(1 + Math.exp(x)),
  selu: (x) => 1.0507009873554805 * ((x > 0 ? x : 1.6732632423543772 * Math.expm1(x)) + 1.6732632423543772),
  gelu: (x) => x * cumulative(x) + 0.16998,
  silu: (x) => x / (1 + Math.exp(-x)) + 1.28001,
  unitSilu: (x) => Math.sign(x),
};

test("every map carries its own name", () => {
  assert.deepEqual(
    maps.map(([name]) => name),
    maps.map(([, map]) => map.name),
  );
  assert.deepEqual(Object.keys(formulas), Object.keys(featureMaps));
});

for (const [name, { apply }] of maps) {
  test(`${name} is its formula`, () => {
    fc.assert(
      fc.property(tensors([7, 1], { low: -4, high: 4 }), (x) => {
        const expected = tensor(Float64Array.from(x.data, formulas[name]), { shape: [7, 1] });
        agree(name, apply(x), expected, { tolerance: 1e-14 });
      }),
    );
  });

  test(`${name} has the derivatives that differences show`, () => {
    fc.assert(
      fc.property(awayFromZero([2, 3]), keys(), (x, key) => hasGradient(apply, [x], { order: 3, key })),
      { numRuns: 20 },
    );
  });

  test(`${name} and its gradient stay finite for large, small and zero rows in float32`, () => {
    const rows = [1e4, -1e4, 0, -0, 1e-40, -1e-40, -95, 95].map((x) => [x, x, x]);
    staysFinite((x: Tensor) => apply(x), [tensor(rows)]);
    staysFinite((x: Tensor) => l1Normalized(apply(x)), [tensor(rows)]);
  });
}

test("positive maps stay positive where tanh + 1 and elu + 1 would round to 0 in float32", () => {
  const x = tensor([[-40, -20, -9, 0, 9, 20, 40]]);
  for (const [name, { apply }] of maps) {
    if (signed.includes(name) || name === "relu") continue;
    assert.ok(
      apply(x).data.every((value: number) => value > 0),
      name,
    );
  }
});

test("elu + 1 has derivative 1 at 0 from both sides", () => {
  const slope = (map: FeatureMap, x: number): number => grad((t: Tensor) => sum(map.apply(t)))(tensor([x])).item();
  assert.equal(slope(featureMaps.elu, 0), 1);
  assert.equal(slope(featureMaps.eluFlip, 0), -1);
});

test("rows are divided by their ℓ1 norm, and rows of zeros stay 0 with gradient 0", () => {
  const x = tensor([
    [1, 3],
    [-1, 4],
    [0, 0],
  ]);
  assert.deepEqual(l1Normalized(x).toArray(), [
    [0.25, 0.75],
    [-0.20000000298023224, 0.800000011920929],
    [0, 0],
  ]);
  const [, , zero] = grad((t: Tensor) => sum(l1Normalized(t)))(x).toArray() as number[][];
  assert.deepEqual(zero, [0, 0]);
});

/** Numbers at which no map has a kink nearby. */
function awayFromZero(shape: readonly number[]): fc.Arbitrary<Tensor> {
  return tensors(shape).map((x) =>
    tensor(
      Float64Array.from(x.data, (value) => value + (value < 0 ? -0.5 : 0.5)),
      { shape },
    ),
  );
}
