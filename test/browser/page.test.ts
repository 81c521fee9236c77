import assert from "node:assert/strict";
import { after, before, describe, test } from "node:test";
import { openPage, type Page, withoutBrowser } from "./page.ts";
import type * as echo from "./page-entry.ts";

const entry = "test/browser/page-entry.ts";

for (const worker of [false, true]) {
  describe(worker ? "an entry in a worker" : "an entry in a page", { skip: withoutBrowser, timeout: 60_000 }, () => {
    let page: Page<typeof echo>;
    before(async () => {
      page = await openPage<typeof echo>({ entry, worker });
    });
    after(() => page?.close());

    test("numbers come back as they were", async () => {
      const numbers = [0, -0, NaN, -Infinity, 1 / 3, 5e-324];
      assert.deepEqual(await page.evaluate("twice", numbers), [...numbers, ...numbers]);
    });

    test("what is thrown there is thrown here", async () => {
      await assert.rejects(page.evaluate("refuse", "no"), /entry: expected yes, got no/);
    });

    test("memory can be shared, and this is a worker or not", async () => {
      assert.deepEqual(await page.evaluate("host"), { isolated: true, worker });
    });
  });
}

test("a page without isolation shares no memory", { skip: withoutBrowser, timeout: 60_000 }, async () => {
  const page = await openPage<typeof echo>({ entry, isolated: false });
  try {
    assert.equal((await page.evaluate("host")).isolated, false);
  } finally {
    await page.close();
  }
});

test("an entry that does not bundle says why", async () => {
  await assert.rejects(openPage({ entry: "test/browser/none.ts" }), /Could not resolve "test\/browser\/none\.ts"/);
});
