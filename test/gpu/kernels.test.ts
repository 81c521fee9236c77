import assert from "node:assert/strict";
import { after, test } from "node:test";
import { random, type Tensor, tensor, vjp, zeros } from "@fmmformer/autodiff";
import * as ops from "@fmmformer/kernels";
import * as kernels from "@fmmformer/kernels/gpu";
import { gpu } from "@fmmformer/kernels/gpu";
import { agree } from "@fmmformer/kernels/laws";
import { wasm } from "@fmmformer/kernels/wasm";
import { closeModes, openModes } from "./modes.ts";

const modes = await openModes();
after(() => closeModes(modes));

const [b, h, n, d, m] = [2, 3, 7, 4, 2];
const normal = (at: number, ...shape: number[]): Tensor => random.normal(random.key(at), shape);
const tokens: [Tensor, Tensor, Tensor] = [normal(0, b, h, n, d), normal(1, b, h, n, d), normal(2, b, h, n, m)];
const [q, k, v] = tokens;
const mask = tensor(
  Array.from({ length: b * n }, (_, i) => Number(i % 4 !== 1)),
  { shape: [b, n] },
);
const sides = { left: 2, right: 1 };
const band = normal(3, b, h, n, 4);
const bias = normal(4, h, 4);
const maps = { features: [ops.featureMaps.elu, ops.featureMaps.tanh] };
const near = { bandwidth: 4, causal: true, mask, bias };

for (const engine of modes.engines) {
  /** A kernel and the op it stands for, at the same inputs, and its pullback at a cotangent of ones and twos. */
  const compare = async (
    run: (...xs: Tensor[]) => Promise<Tensor>,
    pull: (ct: Tensor, ...xs: Tensor[]) => Promise<Tensor[]>,
    op: (...xs: Tensor[]) => Tensor,
    xs: Tensor[],
  ): Promise<void> => {
    const [y, pullback] = vjp(op, ...xs);
    const g = random.normal(random.key(9), y.shape);
    agree("value", await run(...xs), y, { tolerance: 1e-5 });
    agree("pullback", await pull(g, ...xs), pullback(g), { tolerance: 1e-5 });
  };

  test(`each kernel and its pullback are those of the op in mode ${engine.mode}`, async () => {
    const on = { engine };
    await compare(
      (x, y) => kernels.bandDot(x, y, { ...sides, ...on }),
      (g, x, y) => kernels.bandDot.pullback(g, x, y, { ...sides, ...on }),
      (x, y) => ops.bandDot(x, y, sides),
      [q, k],
    );
    await compare(
      (x, y) => kernels.bandMatmul(x, y, { ...sides, ...on }),
      (g, x, y) => kernels.bandMatmul.pullback(g, x, y, { ...sides, ...on }),
      (x, y) => ops.bandMatmul(x, y, sides),
      [band, v],
    );
    await compare(
      (x) => kernels.bandTranspose(x, { ...sides, ...on }),
      (g, x) => kernels.bandTranspose.pullback(g, x, { ...sides, ...on }),
      (x) => ops.bandTranspose(x, sides),
      [band],
    );
    await compare(
      (x) => kernels.bandSoftmax(x, { ...sides, mask, bias, ...on }),
      (g, x) => kernels.bandSoftmax.pullback(g, x, { ...sides, mask, bias, ...on }),
      (x) => ops.bandSoftmax(x, { ...sides, mask, bias }),
      [band],
    );
    await compare(
      (x, y, z) => kernels.nearField(x, y, z, { ...near, ...on }),
      (g, x, y, z) => kernels.nearField.pullback(g, x, y, z, { ...near, ...on }),
      (x, y, z) => ops.nearField(x, y, z, near),
      tokens,
    );
    await compare(
      (x, y, z) => kernels.farField(x, y, z, { ...maps, mask, ...on }),
      (g, x, y, z) => kernels.farField.pullback(g, x, y, z, { ...maps, mask, ...on }),
      (x, y, z) => ops.farField(x, y, z, { ...maps, mask }),
      tokens,
    );
  });
}

const engine = gpu({ mode: "cpu" });
after(() => engine.destroy());

test("a kernel is compiled once for a shape and a set of options, and takes new tensors among them", async () => {
  let traced = 0;
  const counted: ops.FeatureMap = {
    name: "counted",
    apply(x) {
      traced += 1;
      return ops.featureMaps.elu.apply(x);
    },
  };
  const run = (kept: Tensor, eps: number): Promise<Tensor> =>
    kernels.farField(q, k, v, { features: [counted], mask: kept, eps, engine });
  await run(mask, 1e-6);
  const once = traced;
  const others = tensor(
    Array.from(mask.data, (x: number) => 1 - x),
    { shape: [b, n] },
  );
  const y = await run(others, 1e-6);
  assert.equal(traced, once);
  agree("farField", y, ops.farField(q, k, v, { features: [ops.featureMaps.elu], mask: others }), { tolerance: 1e-5 });
  await run(mask, 1e-3);
  assert.equal(traced, 2 * once);
});

test("what a kernel does not take is told before the driver tells it", async () => {
  const long = zeros([1, 1, 2 ** 20, 1]);
  await assert.rejects(
    () => kernels.bandDot(long, long, { left: 16, right: 0, engine }),
    /^RangeError: gpu: expected arrays of at most 16777216 elements, got 17825792 in bandDot; /,
  );
  const longer = zeros([2 ** 24 + 1, 1]);
  await assert.rejects(
    () => kernels.bandDot(longer, longer, { left: 0, right: 0, engine }),
    /^RangeError: gpu: expected arrays of at most 16777216 elements, got 16777217 in an input; /,
  );
  const double = zeros([1, 1, 3, 2], { dtype: "float64" });
  await assert.rejects(
    () => kernels.nearField(double, double, double, { bandwidth: 2, engine }),
    /^DTypeError: gpu: expected float32 on the device, got float64 /,
  );
  await assert.rejects(
    () => kernels.nearField(q, v, v, { bandwidth: 2, engine }),
    /^ShapeError: nearField: expected k /,
  );
  await assert.rejects(() => kernels.nearField(q, k, v, { bandwidth: 0, engine }), /^RangeError: nearField: /);
  for (const wrong of [undefined, wasm()]) {
    await assert.rejects(
      () => kernels.nearField(q, k, v, { bandwidth: 2, engine: wrong as never }),
      /^TypeError: nearField: expected an engine of gpu\(\), got (undefined|wasm); /,
    );
  }
});
