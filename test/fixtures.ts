// npm run fixtures -- DIR [--engine NAME]: compare every official fixture in a folder with ours.
import { readdirSync, readFileSync } from "node:fs";
import { basename, join } from "node:path";
import { parseArgs } from "node:util";
import { type AsyncEngine, type Engine, plain } from "@fmmformer/autodiff";
import { wasm } from "@fmmformer/kernels/wasm";
import { parseSafetensors } from "@fmmformer/models";
import { checkFixture } from "./check-fixture.ts";
import { openMode } from "./gpu/modes.ts";

const usage = `npm run fixtures -- DIR [--engine NAME]

Reads every .safetensors file in DIR, rebuilds the module it is of, and prints the largest relative error of its outputs and gradients.
  --engine NAME   what runs the programs: plain (default), wasm, or gpu:MODE, where mode is cpu, webasm or webgpu
Exits 1 when a file is off by more than 1e-4 or cannot be interpreted, or there is none.`;

/** Of the largest number in an array. */
const tolerance = 1e-4;

async function engineOf(name: string): Promise<Engine | AsyncEngine> {
  if (name === "plain") return plain;
  if (name === "wasm") return wasm();
  const mode = /^gpu:(cpu|webasm|webgpu)$/.exec(name)?.[1];
  if (mode) return openMode(mode as "cpu" | "webasm" | "webgpu");
  throw new TypeError(`fixtures: expected engine plain, wasm, gpu:cpu, gpu:webasm or gpu:webgpu, got ${name}`);
}

async function main(): Promise<number> {
  const { values, positionals } = parseArgs({
    allowPositionals: true,
    options: { engine: { type: "string", default: "plain" }, help: { type: "boolean", default: false } },
  });
  const [folder] = positionals;
  if (values.help || !folder) {
    console.log(usage);
    return values.help ? 0 : 1;
  }
  const engine = await engineOf(values.engine);
  const files = readdirSync(folder).filter((name) => name.endsWith(".safetensors"));
  if (files.length === 0) throw new RangeError(`fixtures: expected .safetensors files in ${folder}, got none`);
  const width = Math.max(...files.map((name) => name.length)) - ".safetensors".length;
  let failed = 0;
  for (const file of files) {
    const name = basename(file, ".safetensors").padEnd(width);
    try {
      const { array, error } = await checkFixture(parseSafetensors(readFileSync(join(folder, file))), engine);
      const ok = error <= tolerance;
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
  process.exitCode = await main();
} catch (error) {
  console.error((error as Error).message);
  process.exitCode = 1;
}
