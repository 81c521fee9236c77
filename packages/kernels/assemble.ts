// Compiles assembly/ into src/wasm/binary: one module with shared memory and threads, one without, as text that any bundler takes, and the
// names of its functions as types. npm runs it after an install (prepare); where scripts of installs are off, the project's own commands
// do. Nothing happens when the sources are those of last time.

import { spawnSync } from "node:child_process";
import { createHash } from "node:crypto";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { createRequire } from "node:module";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { fileURLToPath } from "node:url";

const folder = fileURLToPath(new URL(".", import.meta.url));
const target = join(folder, "src/wasm/binary");
const compiler = join(createRequire(import.meta.url).resolve("assemblyscript/package.json"), "../bin/asc.js");

const hash = createHash("sha256").update(readFileSync(fileURLToPath(import.meta.url)));
for (const file of readdirSync(join(folder, "assembly"), { recursive: true, encoding: "utf8" }).sort()) {
  if (file.endsWith(".ts")) hash.update(file).update(readFileSync(join(folder, "assembly", file)));
}
const stamp = `// of ${hash.digest("hex").slice(0, 16)}\n`;
const names = join(target, "names.ts");
if (existsSync(names) && readFileSync(names, "utf8").startsWith(stamp)) process.exit(0);

const temporary = mkdtempSync(join(tmpdir(), "fmmformer-"));

/** Constants lie below; the arena begins behind them. */
const common = ["-O3", "--noAssert", "--runtime", "stub", "--enable", "simd", "--importMemory", "--memoryBase", "1024"];
const builds = {
  single: ["--initialMemory", "16", "--maximumMemory", "65536"],
  shared: ["--initialMemory", "16", "--maximumMemory", "65536", "--enable", "threads", "--sharedMemory"],
};

mkdirSync(target, { recursive: true });
let functions: string[] = [];
for (const [name, options] of Object.entries(builds)) {
  const output = join(temporary, `${name}.wasm`);
  const args = [compiler, "assembly/index.ts", ...common, ...options, "--exportTable", "-o", output];
  const { status } = spawnSync(process.execPath, args, { cwd: folder, stdio: "inherit" });
  if (status !== 0) process.exit(status ?? 1);
  const bytes = readFileSync(output);
  functions = WebAssembly.Module.exports(new WebAssembly.Module(bytes)).flatMap((found) =>
    found.kind === "function" ? [found.name] : [],
  );
  const text = bytes.toString("base64");
  writeFileSync(
    join(target, `${name}.ts`),
    `/** The module ${name === "shared" ? "with" : "without"} threads, in base64. */\nexport const ${name}: string =\n  "${text}";\n`,
  );
  console.log(`assembly: ${name}, ${Math.round(bytes.length / 1024)} kB, ${functions.length} functions`);
}
rmSync(temporary, { recursive: true });

// Elementwise functions take five numbers more than kernels do, so their names end in a dtype or a size and say what they are in types.
const source = readFileSync(join(folder, "assembly/elementwise.ts"), "utf8");
const elementwise = [...source.matchAll(/^export function (\w+)/gm)].map(([, name]) => name);
const kernels = functions.filter((name) => !elementwise.includes(name) && !["run", "start", "serve"].includes(name));
const union = (names: readonly string[]): string => names.map((name) => `\n  | "${name}"`).join("");
writeFileSync(
  names,
  `${stamp}/** What a step of a plan can be. */\nexport type KernelName =${union(kernels)};\n\n` +
    `/** What an instruction of a chain can be. */\nexport type ChainFunction =${union(elementwise)};\n`,
);
