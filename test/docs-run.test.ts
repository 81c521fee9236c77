import assert from "node:assert/strict";
import { spawnSync } from "node:child_process";
import { mkdtempSync, readFileSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";

const folder = mkdtempSync(join(tmpdir(), "docs-run-"));
after(() => rmSync(folder, { recursive: true }));

const file = join(folder, "tutorial.md");
const tutorial = (first: string, second: string) => `# A tutorial

\`\`\`ts
const square = (x: number) => x * x;
${first}
\`\`\`

It prints

\`\`\`text
9
\`\`\`

and, in the same module,

\`\`\`ts
${second}
\`\`\`

\`\`\`text
16
\`\`\`
`;

function run(markdown: string, ...options: string[]): { status: number | null; stderr: string } {
  writeFileSync(file, markdown);
  return spawnSync(process.execPath, ["--import=tsx", "docs/run.ts", ...options, file], { encoding: "utf8" });
}

test("a tutorial that prints what it shows passes", () => {
  const { status, stderr } = run(tutorial("console.log(square(3));", "console.log(square(4));"));
  assert.equal(stderr, "");
  assert.equal(status, 0);
});

test("a wrong output is reported at the line of its fence, and --update repairs it", () => {
  const wrong = tutorial("console.log(square(3));", "console.log(square(5));\nconsole.log(square(6));");
  const { status, stderr } = run(wrong);
  assert.equal(status, 1);
  assert.equal(stderr, `${file}:21: expected\n  │ 16\ngot\n  │ 25\n  │ 36\n`);
  assert.equal(run(wrong, "--update").status, 0);
  assert.equal(readFileSync(file, "utf8"), wrong.replace("\n16\n", "\n25\n36\n"));
});

test("a type error and a thrown error carry the markdown's own line", () => {
  const untyped = run(tutorial("console.log(square(3));", 'console.log(square("4"));'));
  assert.equal(untyped.status, 1);
  assert.match(untyped.stderr, /tutorial\.md:17:20: error TS2345/);
  const thrown = run(tutorial("console.log(square(3));", 'throw new RangeError("no " + square(4));'));
  assert.equal(thrown.status, 1);
  assert.match(thrown.stderr, /RangeError: no 16\n.*tutorial\.md:17:7/);
});

test("output without a fence is reported, and so is a fence that asks to be skipped", () => {
  const silent = run("```ts\nconsole.log(1);\n```\n");
  assert.equal(silent.status, 1);
  assert.equal(silent.stderr, `${file}:3: expected a \`\`\`text fence with what this code prints\n  │ 1\n`);
  const skipped = run("```ts skip\nconsole.log(1);\n```\n");
  assert.equal(skipped.status, 1);
  assert.equal(skipped.stderr, `${file}:1: expected a plain \`\`\`ts or \`\`\`text, got \`\`\`ts skip\n`);
});
