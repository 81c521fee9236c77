import assert from "node:assert/strict";
import { after, test } from "node:test";
import { table } from "../laws/table.ts";
import { lengths, misplacedBy } from "./long-array.ts";
import { closeModes, openModes } from "./modes.ts";
import { runsPrimitive } from "./primitive-law.ts";

// Law 8 for every primitive in each mode that runs in Node; browser.test.ts has the others. Every shape builds kernels anew, hence few runs.

const modes = await openModes();
after(() => closeModes(modes));

test("webgpu through a Vulkan driver", { skip: modes.skipped ?? false }, () => {});

for (const engine of modes.engines) {
  let largest = 0;
  for (const entry of table) {
    test(`${entry.primitive} runs in mode ${engine.mode} as its value rule says`, async () => {
      largest = Math.max(largest, await runsPrimitive(entry, engine, { numRuns: engine.mode === "cpu" ? 12 : 3 }));
    });
  }
  for (const n of lengths) {
    test(`${n} elements are where they belong in mode ${engine.mode}`, async () => {
      assert.equal(await misplacedBy(engine, n), 0);
    });
  }
  after(() => console.log(`${engine.mode}: the largest error of a primitive is ${largest}`));
}
