import { after, test } from "node:test";
import { jit, trace } from "@fmmformer/autodiff";
import { gpu } from "@fmmformer/kernels/gpu";
import { LawError } from "@fmmformer/kernels/laws";
import fc from "fast-check";
import { casesOf, compare, programs } from "../laws/random-program.ts";

// Law 8 for whole programs. Mode webasm rounds every op to float32 as value rules do: where numbers are compared or rounded, a bit decides.

const engine = gpu({ mode: "webasm" });
after(() => engine.destroy());

/** How many programs; more from a shell: `RANDOM_PROGRAMS=500 npm test -- gpu/programs`. */
const numRuns = Number(process.env.RANDOM_PROGRAMS ?? 25);

test("random programs run as gpu.js kernels as their value rules say, with their gradients", async () => {
  const law = fc.asyncProperty(fc.noBias(programs), async (program) => {
    const { args, cases } = casesOf(program, "float32");
    fc.pre(!cases.some(({ op }) => String(trace(op)(...args)).includes("float64")));
    for (const { op, wanted, tolerances } of cases) {
      try {
        compare(await jit(op, { engine })(...args), wanted, tolerances);
      } catch (error) {
        throw new LawError(`random programs: expected the engine to agree\n${trace(op)(...args)}`, { cause: error });
      }
    }
  });
  await fc.assert(law, { numRuns, includeErrorInReport: true });
});
