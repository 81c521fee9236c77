import { test } from "node:test";
import { setImmediate } from "node:timers/promises";
import { add, grad, isFloat, jit, mul, random, sum, type Tensor, trace, zeros } from "@fmmformer/autodiff";
import { LawError } from "@fmmformer/kernels/laws";
import { wasm } from "@fmmformer/kernels/wasm";
import fc from "fast-check";
import { argumentsOf, programs, type RandomProgram, run } from "./random-program.ts";

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
  const args = argumentsOf(program, dtype);
  const f = (...xs: Tensor[]): readonly Tensor[] => run(program, xs).results;
  const floats = args.filter((x) => isFloat(x.dtype)).length;
  const back = (...xs: Tensor[]): readonly Tensor[] =>
    grad((ys: readonly Tensor[]) => weighted(f(...ys, ...xs.slice(floats)), dtype))(xs.slice(0, floats));

  const epsilon = dtype === "float32" ? 1e-5 : 1e-12;
  const { results, bounds } = run(program, args);
  const gradients = back(...args);
  let steepest = 1;
  for (const { data } of gradients) for (const g of data) steepest = Math.max(steepest, Math.abs(g));
  const cases = [
    { op: f, wanted: results, tolerances: bounds.map((bound) => epsilon * bound) },
    { op: back, wanted: gradients, tolerances: gradients.map(() => 100 * epsilon * steepest) },
  ];
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

/** A sum of all results with random weights: one number to differentiate. */
function weighted(results: readonly Tensor[], dtype: "float32" | "float64"): Tensor {
  return results
    .filter((y) => isFloat(y.dtype))
    .map((y, at) => sum(mul(y, random.normal(random.key(at), y.shape, { dtype }))))
    .reduce((total, y) => add(total, y), zeros([], { dtype }));
}

/** Whether numbers are the same up to a tolerance for each tensor, by default none. */
function compare(found: readonly Tensor[], wanted: readonly Tensor[], tolerances: readonly number[]): void {
  wanted.forEach((y, at) => {
    const x = found[at];
    if (`${x.dtype} ${x.shape}` !== `${y.dtype} ${y.shape}`)
      throw new LawError(`got ${x.dtype} ${x.shape} (result ${at})`);
    const tolerance = isFloat(y.dtype) ? (tolerances[at] ?? 0) : 0;
    for (let i = 0; i < y.size; i++) {
      const [a, b] = [x.data[i], y.data[i]];
      if (Object.is(a, b) || Math.abs(a - b) <= tolerance) continue;
      throw new LawError(`expected ${b} ± ${tolerance}, got ${a} (result ${at}, element ${i} of ${y.shape})`);
    }
  });
}
