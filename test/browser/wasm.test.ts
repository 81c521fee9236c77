import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { openPage, type Page, withoutBrowser } from "./page.ts";
import * as entry from "./wasm-entry.ts";

const file = "test/browser/wasm-entry.ts";
const options = { skip: withoutBrowser, timeout: 60_000 };

const places = [
  { place: "a page", open: { entry: file } },
  { place: "a page that is not isolated", open: { entry: file, isolated: false } },
  { place: "a worker of a page", open: { entry: file, worker: true } },
];

for (const { place, open } of places) {
  describe(`the wasm engine in ${place}`, options, () => {
    let page: Page<typeof entry>;
    before(async () => {
      page = await openPage<typeof entry>(open);
    });
    after(() => page?.close());

    test("gives the bits of Node", async () => {
      const found = await page.evaluate("trained");
      assert.deepEqual(found, await entry.trained());
      assert.ok(found.losses[9] < 0.9 * found.losses[0], `${found.losses}`);
    });

    if (open.worker) {
      test("gives them on any number of threads, once they are ready", async () => {
        const wanted = await entry.trained();
        for (const threads of [2, 3]) assert.deepEqual(await page.evaluate("trained", threads), wanted);
        assert.equal(await page.evaluate("many", 10), 90);
      });

      test("says that threads were not waited for", async () => {
        await assert.rejects(
          page.evaluate("early"),
          /wasm: expected threads that serve, got .*; await engine\.ready\(\)/,
        );
      });
    } else {
      test("says why it has one thread only", async () => {
        const wanted =
          open.isolated === false ? "a page that shares no memory; serve it with" : "the main thread of a page";
        await assert.rejects(
          page.evaluate("trained", 2),
          new RegExp(`wasm: expected a host for 2 threads, got ${wanted}`),
        );
      });
    }
  });
}
