import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { openPage, type Page, withoutBrowser } from "../browser/page.ts";
import type * as trouble from "./trouble-entry.ts";

// Memory, lost devices and missing modes in a browser.

const entry = "test/gpu/trouble-entry.ts";
const options = { skip: withoutBrowser, timeout: 120_000 };
const webgpu = ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"];

describe("a page with WebGPU and WebGL 2", options, () => {
  let page: Page<typeof trouble>;
  before(async () => {
    page = await openPage<typeof trouble>({ entry, flags: webgpu });
  });
  after(() => page?.close());

  for (const mode of ["webgl2", "webgpu"] as const) {
    test(`engines of mode ${mode} that come and go leave nothing, state on the device included`, async () => {
      await page.evaluate("left", mode, 1);
      assert.deepEqual(await page.evaluate("left", mode, 20), Array(20).fill({ kernels: 0, arrays: 0 }));
    });

    for (const moment of ["at its third kernel", "reading"] as const) {
      test(`a device that a run loses ${moment} in mode ${mode} is told by it and by all later ones`, async () => {
        const { told, again } = await page.evaluate("lose", mode, moment);
        const expected = new RegExp(`^GpuLostError: \\w+: expected a device for mode ${mode}, got one that was lost; `);
        assert.equal(told.length, 5);
        for (const each of told) assert.match(each, expected);
        assert.ok(again, "another engine gives what the first one gave");
      });
    }

    test(`a kernel that the driver refuses in mode ${mode} is told by the name of its op`, async () => {
      const { told, again } = await page.evaluate("refuse", mode);
      assert.match(
        told,
        new RegExp(`^GpuKernelError: matmul: expected a kernel that runs in mode ${mode}, got "Error comp`),
      );
      assert.ok(Number.isFinite(again));
    });
  }

  test("auto takes webgpu", async () => {
    assert.equal(await page.evaluate("open", "auto"), "webgpu");
  });
});

/** What a page without some modes says. */
async function told(
  flags: readonly string[],
): Promise<Record<"auto" | "webgpu" | "webgl2" | "headlessgl" | "cpu", string>> {
  const page = await openPage<typeof trouble>({ entry, flags });
  try {
    const open = (mode: Parameters<typeof trouble.open>[0]): Promise<string> => page.evaluate("open", mode);
    return {
      auto: await open("auto"),
      webgpu: await open("webgpu"),
      webgl2: await open("webgl2"),
      headlessgl: await open("headlessgl"),
      cpu: await open("cpu"),
    };
  } finally {
    await page.close();
  }
}

const noWebgpu = 'GpuUnavailableError: gpu: expected a device for mode webgpu, got "no adapter"; ';

test("without WebGPU auto takes webgl2, and mode webgpu says what is missing", options, async () => {
  const found = await told([]);
  assert.equal(found.auto, "webgl2");
  assert.equal(found.webgl2, "webgl2");
  assert.ok(found.webgpu.startsWith(noWebgpu), found.webgpu);
  assert.match(found.headlessgl, /^GpuUnavailableError: gpu: expected a device for mode headlessgl, got /);
});

test("without either auto takes webasm", options, async () => {
  const found = await told(["--disable-3d-apis"]);
  assert.equal(found.auto, "webasm");
  assert.equal(found.cpu, "cpu");
  assert.ok(found.webgpu.startsWith(noWebgpu), found.webgpu);
  assert.match(found.webgl2, /^GpuUnavailableError: gpu: .* mode webgl2, got ".*"; run in a browser that has WebGL 2$/);
});
