// npm run fixtures -- DIR [--engine NAME]: compare every official fixture in a folder with ours.
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { type Engine, plain } from "@fmmformer/autodiff";
import { wasm } from "@fmmformer/kernels/wasm";
import { parseSafetensors } from "@fmmformer/models";
import { checkFixture } from "./check-fixture.ts";

const usage = `npm run fixtures -- DIR [--engine NAME]

Reads every .safetensors file in DIR, rebuilds the module it is of, and prints the largest relative error of its outputs and gradients.
  --engine NAME   what runs the programs: plain (default) or wasm
Exits 1 when a file is off by more than the engine's tolerance or cannot be interpreted, or there is none.`;

/** Engines by name, with the error that each is allowed. */
const engines: { readonly [name: string]: { readonly engine: Engine; readonly tolerance: number } } = {
  plain: { engine: plain, tolerance: 1e-4 },
  wasm: { engine: wasm(), tolerance: 1e-4 },
};

function main(): number {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { engine: { type: "string", default: "plain" }, help: { type: "boolean", default: false } },
  });
  const [folder] = positionals;
  if (values.help || !folder) {
    console.log(usage);
    return values.help ? 0 : 1;
  }
  const chosen = engines[values.engine];
  if (!chosen) {
    throw new TypeError(
      `fixtures: expected engine ${Object.keys(engines).join(", ")}, got ${values.engine}; it is not built yet`,
    );
  }
  const files = readdirSync(folder).filter((name) => name.endsWith(".safetensors"));
  if (files.length === 0) throw new RangeError(`fixtures: expected .safetensors files in ${folder}, got none`);
  const width = Math.max(...files.map((name) => name.length)) - ".safetensors".length;
  let failed = 0;
  for (const file of files) {
    const name = basename(file, ".safetensors").padEnd(width);
    try {
      const { array, error } = checkFixture(parseSafetensors(readFileSync(join(folder, file))), chosen.engine);
      const ok = error <= chosen.tolerance;
      failed += ok ? 0 : 1;
      console.log(`${name}  ${error.toExponential(2)}  ${ok ? "ok" : `FAIL ${array}`}`);
    } catch (error) {
      failed += 1;
      console.log(`${name}  FAIL ${(error as Error).message}`);
    }
  }
  return failed === 0 ? 0 : 1;
}

try {
  process.exitCode = main();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
