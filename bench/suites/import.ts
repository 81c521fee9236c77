import { existsSync } from "node:fs";
import type { Case, Time } from "../case.ts";
import { CommandError } from "../command-line.ts";
import { inProcesses } from "../processes.ts";

/** What is imported, as a user would write it, and the built file behind it. */
const entries: { readonly [entry: string]: string } = {
  "@fmmformer/autodiff": "packages/autodiff/dist/index.js",
  "@fmmformer/kernels": "packages/kernels/dist/index.js",
  "@fmmformer/kernels/wasm": "packages/kernels/dist/wasm.js",
  "@fmmformer/models": "packages/models/dist/index.js",
};

/** The first `import` of each built package, in a process of plain node. */
export function* importing(): Iterable<Case> {
  for (const [entry, file] of Object.entries(entries)) {
    if (!existsSync(file)) throw new CommandError(`bench: expected ${file}, got none; npm run build first`);
    const script = `
      const [before, cpu] = [performance.now(), process.cpuUsage()];
      await import(${JSON.stringify(entry)});
      const [ms, { user, system }] = [performance.now() - before, process.cpuUsage(cpu)];
      console.log(JSON.stringify({ ms, cpuMs: (user + system) / 1000 }));`;
    yield {
      label: entry,
      shape: "dist",
      times: () => inProcesses<Time>(5, ["--input-type=module", "--eval", script]),
    };
  }
}
