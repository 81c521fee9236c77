/** Runs test/**\/*.test.ts with node's own runner; arguments are substrings that select files: `npm test -- laws`. */
import { spawnSync } from "node:child_process";
import { readdirSync } from "node:fs";

const wanted = process.argv.slice(2);
const files = readdirSync("test", { recursive: true, encoding: "utf8" })
  .map((file) => `test/${file.replaceAll("\\", "/")}`)
  .filter((file) => file.endsWith(".test.ts"))
  .filter((file) => wanted.length === 0 || wanted.some((part) => file.includes(part)))
  .sort();

if (files.length === 0) {
  console.error(`test: expected files test/**/*.test.ts that contain ${wanted.join(" or ")}, got none`);
  process.exit(1);
}

const { status } = spawnSync(
  process.execPath,
  [
    "--conditions=@fmmformer/source",
    "--enable-source-maps", // so that failures name lines of the sources
    "--import=tsx",
    "--test",
    "--test-concurrency=2",
    "--test-reporter=spec",
    "--test-reporter-destination=stdout",
    ...files,
  ],
  { stdio: "inherit" },
);
process.exit(status ?? 1);
