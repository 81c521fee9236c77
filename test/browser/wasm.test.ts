import assert from "node:assert/strict";
import { test } from "node:test";
import { openPage, withoutBrowser } from "./page.ts";
import * as entry from "./wasm-entry.ts";

test("the wasm engine gives the bits of Node in a page", { skip: withoutBrowser, timeout: 60_000 }, async () => {
  const page = await openPage<typeof entry>({ entry: "test/browser/wasm-entry.ts" });
  try {
    const found = await page.evaluate("trained");
    assert.deepEqual(found, entry.trained());
    assert.ok(found.losses[9] < 0.9 * found.losses[0], `${found.losses}`);
  } finally {
    await page.close();
  }
});
