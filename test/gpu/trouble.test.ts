import assert from "node:assert/strict";
import { after, test } from "node:test";
import { jit, matmul, ones, type Tensor } from "@fmmformer/autodiff";
import { GpuKernelError, gpu } from "@fmmformer/kernels/gpu";
import { GPU } from "gpu.js";
import { replace } from "./live.ts";
import { lose, refuse } from "./losing.ts";
import { closeModes, openModes } from "./modes.ts";

// What goes wrong below the engine is told by an error of its own; browser.test.ts has the same for the modes of a page.

const modes = await openModes();
after(() => closeModes(modes));
const skip = modes.skipped ?? false;

for (const moment of ["at its third kernel", "reading"] as const) {
  test(`a device that a run loses ${moment} is told by it and by all later ones, and another engine goes on`, {
    skip,
  }, async () => {
    const { told, again } = await lose("webgpu", moment);
    const expected =
      /^GpuLostError: \w+: expected a device for mode webgpu, got one that was lost; make another engine /;
    assert.equal(told.length, 5);
    for (const each of told) assert.match(each, expected);
    assert.ok(again);
  });
}

test("a kernel that the driver refuses is told by the name of its op, and the engine goes on", { skip }, async () => {
  const { told, again } = await refuse("webgpu");
  assert.match(told, /^GpuKernelError: matmul: expected a kernel that runs in mode webgpu, got "Error compiling WGSL/);
  assert.ok(Number.isFinite(again));
});

const [x, y] = [ones([3, 4]), ones([4, 5])];
const product = (a: Tensor, b: Tensor): Tensor => matmul(a, b);

for (const mode of ["cpu", "webasm"] as const) {
  test(`a kernel that gpu.js does not compile in mode ${mode} is told by the name of its op`, async () => {
    const engine = gpu({ mode });
    await engine.open();
    const run = jit(product, { engine });
    const restore = replace(GPU.prototype, "createKernel", (method) => {
      return function (source, settings) {
        return method.call(this, `${source}`.replace("return", "return missing +"), settings);
      };
    });
    try {
      await assert.rejects(
        () => run(x, y),
        (error) =>
          error instanceof GpuKernelError && error.message.startsWith("matmul: ") && error.cause instanceof Error,
      );
    } finally {
      restore();
    }
    assert.deepEqual([...(await run(x, y)).data], Array(15).fill(4));
    await engine.destroy();
  });
}

test("what gpu.js would run elsewhere is refused", async (t) => {
  t.mock.method(console, "warn", () => {});
  const engine = gpu({ mode: "webasm" });
  await engine.open();
  const restore = replace(GPU.prototype, "createKernel", (method) => {
    return function (source, settings) {
      const part = { name: "part", source: "function part(a) { return a; }", property: "part" };
      return method.call(this, source, { ...(settings as object), subKernels: [part] });
    };
  });
  try {
    await assert.rejects(
      () => jit(product, { engine })(x, y),
      /^GpuKernelError: matmul: expected a kernel that runs in mode webasm, got "kernel maps are not supported/,
    );
  } finally {
    restore();
  }
  await engine.destroy();
});
