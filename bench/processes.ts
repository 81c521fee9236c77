import { spawnSync } from "node:child_process";

/**
 * Run node again and again, one process after the other, each a cold start.
 *
 * @returns what each printed, as JSON, on its last line
 */
export function inProcesses<Printed>(runs: number, args: readonly string[]): Printed[] {
  return Array.from({ length: runs }, () => {
    const { stdout, status, error } = spawnSync(process.execPath, args, {
      encoding: "utf8",
      stdio: ["ignore", "pipe", "inherit"],
    });
    if (status !== 0) throw new Error(`bench: expected node ${args.join(" ")} to succeed, got ${error ?? status}`);
    return JSON.parse(stdout.trim().split("\n").at(-1) as string);
  });
}
