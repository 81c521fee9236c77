import assert from "node:assert/strict";
import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { customVjp, jit, mul, type Tensor, tensor, trace } from "@fmmformer/autodiff";
import { apply, definePrimitive, type Primitive } from "@fmmformer/autodiff/extend";
import { LawError } from "@fmmformer/kernels/laws";
import { wasm } from "@fmmformer/kernels/wasm";
import fc from "fast-check";
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
  const double = customVjp({
    name: "gelu",
    forward: (x: Tensor) => [mul(x, 2), x],
    pullback: (_, g) => [mul(g, 2)],
    leading: [0],
  });
  const x = tensor([-1, 0, 3]);
  assert.deepEqual(jit(double, { engine: wasm() })(x).toArray(), [-2, 0, 6]);

  const own: Primitive<null> = definePrimitive<null>({
    name: "sign",
    shape: ([{ shape, dtype, weak }]) => ({ shape, dtype, weak }),
    value: (out, [y]) => out.set(y.data.map((value: number) => 2 * value) as never),
    batch: (_, [y]) => apply(own, [y], null),
  });
  assert.throws(
    () => jit((y: Tensor) => apply(own, [y], null), { engine: wasm() })(x),
    /^FmmformerError: wasm: expected primitives of this library, got sign, .*; run it without an engine, or write it with ops$/,
  );
});
