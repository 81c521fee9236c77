/**
 * Keeps the tutorials true: the ```ts fences of a markdown file are one module, and each ```text fence is what the code
 * since the ```text fence before it prints. All modules are type-checked together, then each is run and compared.
 *
 *     npm run docs:run                        README.md and docs/*.md
 *     npm run docs:run -- docs/01-title.md    only this one
 *     npm run docs:run -- --update            the same, and rewrites the ```text fences
 */
import { spawnSync } from "node:child_process";
import { existsSync, mkdirSync, mkdtempSync, readdirSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { basename } from "node:path";

type Fence = { readonly info: string; readonly open: number; readonly close: number };
type Tutorial = { readonly file: string; readonly module: string; readonly lines: string[]; readonly fences: Fence[] };

// Printed where a ```text fence opens: it splits what a module prints into one piece for each fence.
const boundary = "\0\n";

// Inside the repository, so that the modules find the packages.
mkdirSync("build", { recursive: true });
const folder = mkdtempSync("build/docs-");
try {
  const { update, files } = readArguments(process.argv.slice(2));
  const tutorials = files.map(readTutorial);
  checkTypes(tutorials);
  const results = tutorials.map((tutorial) => check(tutorial, update));
  process.exitCode = results.every(Boolean) ? 0 : 1;
} catch (error) {
  console.error(error instanceof SyntaxError ? error.message : error);
  process.exitCode = 1;
} finally {
  rmSync(folder, { recursive: true });
}

function readArguments(args: readonly string[]): { update: boolean; files: string[] } {
  const named = args.filter((arg) => arg !== "--update");
  const pages = readdirSync("docs").filter((name) => name.endsWith(".md"));
  const all = ["README.md", ...pages.sort().map((name) => `docs/${name}`)].filter((file) => existsSync(file));
  const files = named.length > 0 ? named : all;
  if (files.length === 0) throw new SyntaxError("docs: expected README.md or docs/*.md, got neither");
  return { update: args.includes("--update"), files };
}

function readTutorial(file: string): Tutorial {
  const lines = readFileSync(file, "utf8").split(/\r?\n/);
  const fences: Fence[] = [];
  for (let open = 0; open < lines.length; open++) {
    const info = /^\s*```(.*)$/.exec(lines[open])?.[1]?.trim();
    if (info === undefined) continue;
    if (/^(ts|typescript|js|javascript|text)\b/.test(info) && !/^```(ts|text)$/.test(lines[open])) {
      throw new SyntaxError(`${file}:${open + 1}: expected a plain \`\`\`ts or \`\`\`text, got ${lines[open]}`);
    }
    const close = lines.findIndex((line, i) => i > open && /^\s*```\s*$/.test(line));
    if (close < 0) throw new SyntaxError(`${file}:${open + 1}: expected a closing \`\`\`, got the end of the file`);
    fences.push({ info, open, close });
    open = close;
  }
  return { file, module: `${basename(file, ".md")}.ts`, lines, fences };
}

/** Prose becomes blank lines, so that an error carries the markdown's own line number. */
function moduleOf({ lines, fences }: Tutorial): string {
  const code = lines.map(() => "");
  for (const { info, open, close } of fences) {
    if (info === "ts") for (let i = open + 1; i < close; i++) code[i] = lines[i];
    if (info === "text") code[open] = `process.stdout.write(${JSON.stringify(boundary)});`;
  }
  return code.join("\n");
}

function checkTypes(tutorials: readonly Tutorial[]): void {
  for (const tutorial of tutorials) writeFileSync(`${folder}/${tutorial.module}`, moduleOf(tutorial));
  // What a tutorial exports needs no annotation: nobody builds declarations of it.
  const compilerOptions = { declaration: false, isolatedDeclarations: false };
  const config = { extends: "../../tsconfig.json", compilerOptions, include: ["*.ts"], exclude: [] };
  writeFileSync(`${folder}/tsconfig.json`, JSON.stringify(config));
  const { status, stdout, stderr } = node("node_modules/typescript/bin/tsc", "-p", folder, "--pretty", "false");
  if (status !== 0) throw new SyntaxError(tutorials.reduce(inMarkdown, stdout + stderr).trimEnd());
}

/** Runs the module and tells whether it prints what the tutorial shows. */
function check(tutorial: Tutorial, update: boolean): boolean {
  const start = performance.now();
  const module = `${folder}/${tutorial.module}`;
  const { status, stdout, stderr } = node("--conditions=@fmmformer/source", "--import=tsx", module);
  const printed = stdout.split(boundary).map(trim);
  const complaints = status === 0 ? compare(tutorial, printed, update) : [inMarkdown(stderr, tutorial)];
  const seconds = ((performance.now() - start) / 1000).toFixed(1);
  console.log(`${complaints.length === 0 ? "✔" : "✖"} ${tutorial.file} (${seconds} s)`);
  for (const complaint of complaints) console.error(complaint);
  return complaints.length === 0;
}

function compare({ file, lines, fences }: Tutorial, printed: readonly string[], update: boolean): string[] {
  const complaints: string[] = [];
  const shown = fences.filter((fence) => fence.info === "text");
  const rest = printed[shown.length];
  if (rest !== "") {
    const last = fences.findLast((fence) => fence.info === "ts")!;
    complaints.push(
      `${file}:${last.close + 1}: expected a \`\`\`text fence with what this code prints\n${quote(rest)}`,
    );
  }
  // Backwards, so that a rewritten fence moves no line that is still to be looked at.
  for (const [i, { open, close }] of [...shown.entries()].reverse()) {
    const expected = trim(lines.slice(open + 1, close).join("\n"));
    const got = printed[i];
    if (got === expected) continue;
    if (update) lines.splice(open + 1, close - open - 1, ...got.split("\n"));
    else complaints.unshift(`${file}:${open + 1}: expected\n${quote(expected)}\ngot\n${quote(got)}`);
  }
  if (update) writeFileSync(file, lines.join("\n"));
  return complaints;
}

function node(...args: string[]): { status: number | null; stdout: string; stderr: string } {
  const env = { ...process.env, NO_COLOR: "1", FORCE_COLOR: undefined };
  return spawnSync(process.execPath, args, { encoding: "utf8", env, maxBuffer: 2 ** 26 });
}

/** Turns places in the generated module into places in the markdown. */
function inMarkdown(text: string, { file, module }: Tutorial): string {
  const place = new RegExp(`[^\\s(]*${folder}/${module}(?:\\((\\d+),(\\d+)\\))?`, "g");
  return text.replace(place, (_, line?: string, column?: string) => (line ? `${file}:${line}:${column}` : file));
}

function trim(text: string): string {
  return text.replace(/[ \t]+$/gm, "").trimEnd();
}

function quote(text: string): string {
  return text.replace(/^/gm, "  │ ");
}
