import assert from "node:assert/strict";
import { after, test } from "node:test";
import { wasm } from "@fmmformer/kernels/wasm";
import { openPage, withoutBrowser } from "../browser/page.ts";
import { table } from "../laws/table.ts";
import { fixtures, withoutFixtures } from "../official-fixtures.ts";
import type * as entry from "./browser-entry.ts";
import { lengths } from "./long-array.ts";
import { opCases } from "./op-cases.ts";
import { smallTraining, trainsAlike } from "./small-training.ts";

// Law 8 in a browser, in the modes that Node has not, or has with another driver. One page, so that kernels are built once.

const page = withoutBrowser
  ? null
  : await openPage<typeof entry>({
      entry: "test/gpu/browser-entry.ts",
      flags: ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"], // a driver without a graphics processor
    });
after(() => page?.close());

for (const mode of ["webgl2", "webgpu"] as const) {
  test(`mode ${mode} in a page`, { skip: withoutBrowser, timeout: 300_000 }, async (t) => {
    assert.ok(page);
    assert.equal(await page.evaluate("open", mode), mode);
    const errors: number[] = [];
    for (const { primitive } of table) {
      await t.test(`${primitive} runs in mode ${mode} as its value rule says`, async () => {
        errors.push(await page.evaluate("primitive", mode, primitive, 3));
      });
    }
    t.diagnostic(`the largest error of a primitive in mode ${mode} of a page is ${Math.max(...errors)}`);
    for (const n of lengths) {
      await t.test(`${n} elements are where they belong in mode ${mode}`, async () => {
        assert.equal(await page.evaluate("misplaced", mode, n), 0);
      });
    }
    for (const { name } of opCases) {
      await t.test(`${name}, runs in mode ${mode} as without an engine`, async () => {
        await page.evaluate("composed", mode, name);
      });
    }
    await t.test(`training in mode ${mode} goes as in WebAssembly, its state on the device`, async () => {
      const found = await page.evaluate("training", mode);
      const { first, median } = found.milliseconds;
      t.diagnostic(
        `mode ${mode} of a page: ${Math.round(first)} ms the first step, ${median.toFixed(1)} ms the others`,
      );
      const largest = trainsAlike(found, await smallTraining(wasm()), { readsOfAStep: 2 });
      t.diagnostic(`mode ${mode} of a page: losses are off by at most ${largest.toExponential(1)}`);
    });
    await t.test(`the official fixtures are matched in mode ${mode}`, { skip: withoutFixtures }, async () => {
      let largest = 0;
      for (const { name, bytes } of fixtures) {
        const { array, error } = await page.evaluate("fixture", mode, Buffer.from(bytes).toString("base64"));
        assert.ok(error <= 1e-4, `${name}: ${array} is off by ${error}`);
        largest = Math.max(largest, error);
      }
      t.diagnostic(`the largest error of a fixture in mode ${mode} of a page is ${largest}`);
    });
  });
}
