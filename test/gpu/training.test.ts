import { after, test } from "node:test";
import { wasm } from "@fmmformer/kernels/wasm";
import { closeModes, openModes } from "./modes.ts";
import { smallTraining, trainsAlike } from "./small-training.ts";

const modes = await openModes();
after(() => closeModes(modes));

const expected = await smallTraining(wasm());

for (const engine of modes.engines) {
  test(`training in mode ${engine.mode} goes as in WebAssembly, its state on the device`, async (t) => {
    const found = await smallTraining(engine);
    const { first, median } = found.milliseconds;
    t.diagnostic(`mode ${engine.mode}: ${Math.round(first)} ms the first step, ${median.toFixed(1)} ms the others`);
    const largest = trainsAlike(found, expected, { readsOfAStep: engine.mode === "webgpu" ? 2 : 0 });
    t.diagnostic(`mode ${engine.mode}: losses are off by at most ${largest.toExponential(1)}`);
  });
}
