import assert from "node:assert/strict";
import { after, test } from "node:test";
import { openPage, withoutBrowser } from "../browser/page.ts";
import { table } from "../laws/table.ts";
import type * as entry from "./browser-entry.ts";
import { lengths } from "./long-array.ts";

// Law 8 in a browser: the primitives in the modes that Node has not, or has with another driver. One page, so that kernels are built once.

const page = withoutBrowser
  ? null
  : await openPage<typeof entry>({
      entry: "test/gpu/browser-entry.ts",
      flags: ["--enable-unsafe-webgpu", "--use-webgpu-adapter=swiftshader"], // a driver without a graphics processor
    });
after(() => page?.close());

for (const mode of ["webgl2", "webgpu"] as const) {
  test(`mode ${mode} in a page`, { skip: withoutBrowser, timeout: 120_000 }, async (t) => {
    assert.ok(page);
    assert.equal(await page.evaluate("open", mode), mode);
    const errors: number[] = [];
    for (const { primitive } of table) {
      await t.test(`${primitive} runs in mode ${mode} as its value rule says`, async () => {
        errors.push(await page.evaluate("primitive", mode, primitive, 3));
      });
    }
    for (const n of lengths) {
      await t.test(`${n} elements are where they belong in mode ${mode}`, async () => {
        assert.equal(await page.evaluate("misplaced", mode, n), 0);
      });
    }
    t.diagnostic(`${mode} in a page: the largest error of a primitive is ${Math.max(...errors)}`);
  });
}
