import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { jit, tensor, trace } from "@fmmformer/autodiff";
import { LawError } from "@fmmformer/kernels/laws";
import { wasm } from "@fmmformer/kernels/wasm";
import fc from "fast-check";
import { borrowedOp, borrowedSign } from "../laws/borrowed-names.ts";
import { casesOf, compare, programs, type RandomProgram } from "../laws/random-program.ts";

// Law 8 for whole programs: what the engine makes of many ops together, and of their gradients, is what their value rules say.

const engines = [wasm(), wasm({ threads: 2 }), wasm({ threads: 3 })];

/** How many programs; more from a shell: `RANDOM_PROGRAMS=5000 npm test -- wasm/programs`. */
const numRuns = Number(process.env.RANDOM_PROGRAMS ?? 60);

test("random programs run in WebAssembly as their value rules say, with their gradients", async () => {
  const dtypes = fc.constantFrom<("float32" | "float64")[]>("float32", "float64");
  const law = fc.asyncProperty(fc.noBias(programs), dtypes, async (program, dtype) => {
    runsAsItSays(program, dtype);
    await setImmediate(); // what the engine knows to be garbage is given back between tasks
  });
  await fc.assert(law, { numRuns, includeErrorInReport: true });
});

function runsAsItSays(program: RandomProgram, dtype: "float32" | "float64"): void {
  const { args, cases } = casesOf(program, dtype);
  for (const { op, wanted, tolerances } of cases) {
    try {
      const [first, ...others] = engines.map((engine) => jit(op, { engine })(...args));
      compare(first, wanted, tolerances);
      for (const other of others) compare(other, first, []);
      // Results that take the places of arguments, each while others may still be read
      const donate = args.map((_, at) => at);
      for (const engine of engines.slice(0, 2)) compare(jit(op, { engine, donate })(...args), first, []);
    } catch (error) {
      throw new LawError(`random programs: expected both engines to agree\n${trace(op)(...args)}`, { cause: error });
    }
  }
}

test("an op or a primitive that only has a kernel's name is not run by the kernel", () => {
  const x = tensor([-1, 0, 3]);
  assert.deepEqual(jit(borrowedOp("gelu"), { engine: wasm() })(x).toArray(), [-2, 0, 6]);
  assert.throws(
    () => jit(borrowedSign, { engine: wasm() })(x),
    /^FmmformerError: wasm: expected primitives of this library, got sign, .*; run it without an engine, or write it with ops$/,
  );
});
