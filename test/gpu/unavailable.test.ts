import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { test } from "node:test";
import { jit, mul, type Tensor, tensor } from "@fmmformer/autodiff";
import { type GpuMode, GpuUnavailableError, gpu } from "@fmmformer/kernels/gpu";
import { openMode } from "./modes.ts";

// Modes that cannot run say what is missing and what to do; only "auto" takes another. Pages have theirs in browser-trouble.test.ts.

const missing: readonly (readonly [mode: GpuMode, told: RegExp])[] = [
  [
    "webgpu",
    /^gpu: expected a device for mode webgpu, got "no adapter"; in Node set navigator\.gpu from the package "webgpu"/,
  ],
  ["webgl2", /^gpu: expected a device for mode webgl2, got ".*not supported"; run in a browser that has WebGL 2$/],
  ["headlessgl", /^gpu: expected a device for mode headlessgl, got ".*not supported"; install the package "gl" and /],
];

for (const [mode, told] of missing) {
  test(`mode ${mode}, which is not here, is told with a remedy, at each call`, async () => {
    const engine = gpu({ mode });
    const run = jit((x: Tensor) => mul(x, 2), { engine });
    for (const call of [() => engine.open(), () => run(tensor([1, 2, 3, 4, 5])), () => engine.open()]) {
      await assert.rejects(call, (error) => error instanceof GpuUnavailableError && told.test(error.message));
    }
    assert.equal(engine.mode, mode);
    await engine.destroy();
  });
}

/** Have the page's object that WebGPU is found at, which Node has not, while something is done. */
async function withNavigator(gpuOfPage: unknown, work: () => Promise<void>): Promise<void> {
  const own = Object.getOwnPropertyDescriptor(globalThis, "navigator");
  Object.defineProperty(globalThis, "navigator", { value: { gpu: gpuOfPage }, configurable: true });
  try {
    await work();
  } finally {
    if (own) Object.defineProperty(globalThis, "navigator", own);
    else delete (globalThis as { navigator?: unknown }).navigator;
  }
}

/** Which mode "auto" takes. */
async function taken(): Promise<GpuMode> {
  const engine = gpu();
  assert.equal(engine.mode, "auto");
  const { data } = await jit((x: Tensor) => mul(x, 2), { engine })(tensor([1, 2, 3, 4, 5]));
  assert.deepEqual([...data], [2, 4, 6, 8, 10]);
  const { mode } = engine;
  assert.ok(mode !== "auto");
  assert.equal(await engine.open(), mode);
  await engine.destroy();
  return mode;
}

test("auto takes webasm where there is nothing better, and says so", async () => {
  assert.equal(await taken(), "webasm");
});

const adapters = [
  { what: "no adapter", requestAdapter: async () => null, told: /got "no adapter"; / },
  {
    what: "an adapter that gives no device",
    requestAdapter: async () => ({ limits: {}, requestDevice: () => Promise.reject(new Error("not today\nnor ever")) }),
    told: /got "not today"; in Node set navigator\.gpu /,
  },
];

for (const { what, requestAdapter, told } of adapters) {
  test(`${what}: mode webgpu says so, auto takes the next one`, async () => {
    await withNavigator({ requestAdapter }, async () => {
      await assert.rejects(
        () => gpu({ mode: "webgpu" }).open(),
        (error) => error instanceof GpuUnavailableError && told.test(error.message),
      );
      assert.equal(await taken(), "webasm");
    });
  });
}

test("without WebAssembly mode webasm says so, and auto, which has nothing left", async () => {
  const { WebAssembly } = globalThis;
  Reflect.deleteProperty(globalThis, "WebAssembly");
  try {
    for (const engine of [gpu({ mode: "webasm" }), gpu()]) {
      await assert.rejects(
        () => engine.open(),
        /^GpuUnavailableError: gpu: expected a device for mode webasm, got ".*"; run where WebAssembly is enabled$/,
      );
    }
    const plain = gpu({ mode: "cpu" });
    assert.equal(await plain.open(), "cpu");
    await plain.destroy();
  } finally {
    Object.defineProperty(globalThis, "WebAssembly", { value: WebAssembly, configurable: true, writable: true });
  }
});

test("without the package gpu.js every mode says how to install it", () => {
  const hooks = `export const resolve = (name, context, next) => {
    if (name === "gpu.js") throw new Error("Cannot find package 'gpu.js'");
    return next(name, context);
  };`;
  const dataUrl = (code: string): string => `data:text/javascript,${encodeURIComponent(code)}`;
  const without = `import { register } from "node:module"; register(${JSON.stringify(dataUrl(hooks))});`;
  const script = `import { gpu } from "@fmmformer/kernels/gpu";
    for (const mode of ["auto", "webgpu", "webgl2", "headlessgl", "webasm", "cpu"]) {
      await gpu({ mode }).open().catch((error) => console.log(String(error)));
    }`;
  const args = ["--conditions=@fmmformer/source", "--import=tsx", `--import=${dataUrl(without)}`];
  const { stdout, stderr } = spawnSync(process.execPath, [...args, "--input-type=module", "--eval", script], {
    encoding: "utf8",
  });
  const told =
    "GpuUnavailableError: gpu: expected the optional package gpu.js, got \"Cannot find package 'gpu.js'\"; run npm install gpu.js@2.24.1\n";
  assert.equal(stdout, told.repeat(6), stderr);
});

test("a mode that there is not is no mode", () => {
  assert.throws(() => gpu({ mode: "webgl" as never }), /^RangeError: gpu: expected mode auto, webgpu, .*, got webgl$/);
});

// Last, for WebGPU is there from here on.
test("auto takes webgpu where it runs", async (t) => {
  try {
    await (await openMode("webgpu")).destroy();
  } catch (error) {
    return t.skip((error as Error).message);
  }
  assert.equal(await taken(), "webgpu");
});
