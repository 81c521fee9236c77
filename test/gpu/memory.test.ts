import assert from "node:assert/strict";
import { after, test } from "node:test";
import { setFlagsFromString } from "node:v8";
import { runInNewContext } from "node:vm";
import { add, eye, jit, matmul, mul, type Tensor, tensor } from "@fmmformer/autodiff";
import { GpuUnavailableError, gpu } from "@fmmformer/kernels/gpu";
import { GPU } from "gpu.js";
import { heldForPrograms, leftByEngines } from "./coming-and-going.ts";
import { countLive, replace } from "./live.ts";
import { closeModes, openModes } from "./modes.ts";

const modes = await openModes();
after(() => closeModes(modes));

setFlagsFromString("--expose-gc");
const gc = runInNewContext("gc") as () => void;
const collect = async (): Promise<void> => {
  for (let i = 0; i < 3; i++) {
    gc();
    await new Promise((done) => setTimeout(done));
  }
};

for (const engine of modes.engines) {
  const { mode } = engine;
  assert.ok(mode !== "auto");

  test(`engines of mode ${mode} that come and go leave nothing, state on the device included`, async () => {
    await leftByEngines(mode, 10); // what is compiled lazily is
    await collect();
    const before = process.memoryUsage().heapUsed;
    const left = await leftByEngines(mode, 30);
    await collect();
    const grown = process.memoryUsage().heapUsed - before;
    assert.deepEqual(left, Array(30).fill({ kernels: 0, arrays: 0 }));
    assert.ok(grown < 750_000, `the heap grew by ${grown} bytes`);
  });

  test(`programs of mode ${mode} that are compiled again build no kernel, and give back what they held`, async () => {
    const [few, many] = await heldForPrograms(mode, 12, collect);
    assert.ok(few.kernels > 1);
    assert.equal(many.kernels, few.kernels);
    assert.ok(many.arrays <= few.arrays, `${many.arrays} arrays, ${few.arrays} after the first one`);
  });

  test(`an engine of mode ${mode} that was destroyed says so, and so does what lay on its device`, async () => {
    const own = gpu({ mode });
    const twice = jit((x: Tensor) => mul(x, 2), { engine: own, donate: [0] });
    const y = await twice(tensor([1, 2, 3, 4, 5]));
    const running = twice(tensor([1, 2, 3, 4, 5])).then(
      () => "done",
      (error: unknown) => error,
    );
    await Promise.all([own.destroy(), own.destroy()]);
    const told = /: expected an open engine, got one that was destroyed; make another$/;
    for (const run of [() => twice(tensor([1, 2, 3, 4, 5])), () => own.read(y), () => twice(y), () => own.open()]) {
      await assert.rejects(run, (error) => error instanceof GpuUnavailableError && told.test(error.message));
    }
    const ended = await running;
    assert.ok(ended === "done" || ended instanceof GpuUnavailableError, String(ended));
  });
}

test("behind a run nothing is kept of what lay between", { skip: modes.skipped ?? false }, async () => {
  const live = countLive();
  const engine = gpu({ mode: "webgpu" });
  const chain = (x: Tensor): Tensor =>
    Array.from({ length: 6 }).reduce<Tensor>((y, _, i) => matmul(mul(y, i + 0.5), y), x);
  await jit(chain, { engine })(eye(5));
  const { kernels, arrays } = live();
  assert.equal(kernels, 8, "one that opens, one that writes, six products");
  assert.equal(arrays - kernels, 3, "the sizes of each, what is sent, and two to read through");
  await engine.destroy();
});

test("an engine that was never opened can be destroyed, and opens no device afterwards", async () => {
  const engine = gpu({ mode: "cpu" });
  await engine.destroy();
  await assert.rejects(
    () => jit((x: Tensor) => mul(x, 2), { engine })(tensor([1, 2, 3, 4, 5])),
    /^GpuUnavailableError: gpu: expected an open engine, got one that was destroyed; make another$/,
  );
});

for (const { mode } of modes.engines.filter((each) => each.mode !== "webasm")) {
  test(`in mode ${mode} kernels that were not used for longest go first, there are never more than 4096`, async () => {
    let [most, made] = [0, 0];
    const there = new Set<object>();
    const restore = replace(GPU.prototype, "createKernel", () => () => {
      const result = { output: [5], toArray: async () => Float32Array.of(1, 2, 3, 4, 5), delete() {} };
      const kernel = Object.assign(() => (mode === "cpu" ? new Float32Array([1]) : { ...result }), {
        kernel: {},
        destroy: () => there.delete(kernel),
      });
      there.add(kernel);
      made++;
      most = Math.max(most, there.size);
      return kernel;
    });
    try {
      const engine = gpu({ mode });
      const x = tensor(new Float32Array(5));
      const kept = await jit((y: Tensor) => mul(y, 2), { engine, donate: [0] })(x);
      const [maker] = [...there].slice(-1);
      for (let i = 1; i <= 4200; i++) await jit((y: Tensor) => add(y, i), { engine })(x);
      const before = made;
      await jit((y: Tensor) => add(y, 4200), { engine })(x);
      assert.equal(made, before, "the last one is still there");
      await jit((y: Tensor) => add(y, 1), { engine })(x);
      assert.equal(made, before + 1, "the first one is not");
      assert.deepEqual([most, there.size], [4096, 4096]);
      assert.equal(there.has(maker), mode === "webgpu", "what it made is on the device");
      assert.equal((await engine.read(kept)).data[0], 1);
      await engine.destroy();
    } finally {
      restore();
    }
  });
}
