import { spawn } from "node:child_process";
import { join } from "node:path";
import { paperResult } from "../experiments/paper-results.ts";
import { type RunResult, readConfiguration, readResult } from "../training/run-folder.ts";
import { configurationOf } from "./plan-run.ts";
import type { TrainFlags } from "./program.ts";
import { folderOf } from "./train.ts";

/** The command `compare`: a process for each run, one after the other. What is finished is not run again. */
export async function compare(
  task: string,
  flags: TrainFlags & { attentions: string[]; seeds: number[] },
): Promise<void> {
  const chosen = flags.attentions.map((attention) => configurationOf(task, { ...flags, attention }));
  const rows = new Map<string, RunResult[]>();
  for (const [at, configuration] of chosen.entries()) {
    const { name } = configuration;
    const results: RunResult[] = [];
    for (const seed of flags.seeds) {
      const out = flags.out ? join(flags.out, `${name}-${seed}`) : folderOf({ ...configuration, seed });
      if (!readResult(out)) await train(task, { attention: flags.attentions[at], seed, out });
      results.push(readResult(out) as RunResult);
    }
    rows.set(name, results);
  }
  const reported = Object.fromEntries(
    [...rows.keys()].flatMap((name) => {
      const found = paperResult(task, name);
      return found?.measure === "accuracy" ? [[name, found.value]] : [];
    }),
  );
  console.log(tableOf(rows, reported));
  const seeds = flags.seeds.length;
  console.log(
    seeds < 3
      ? `\n${seeds === 1 ? "one seed" : `${seeds} seeds`}: no order is claimed of fewer than three`
      : `\nmean ± standard deviation over ${seeds} seeds`,
  );
}

/** Run `train` with the flags that were given to `compare`. */
function train(
  task: string,
  { attention, seed, out }: { attention: string; seed: number; out: string },
): Promise<void> {
  const own = ["--attentions", "--seeds", "--attention", "--seed", "--out", "--resume", "--force"];
  const given = process.argv.slice(process.argv.indexOf("compare") + 1).filter((flag) => flag !== task);
  const passed: string[] = [];
  for (let at = 0; at < given.length; at++) {
    const [name, value] = given[at].split("=", 2);
    if (!own.includes(name)) passed.push(given[at]);
    else if (value === undefined && name !== "--resume" && name !== "--force") at++;
  }
  const resume = readConfiguration(out) ? ["--resume"] : [];
  const flags = ["--attention", attention, "--seed", String(seed), "--out", out, ...passed, ...resume];
  return new Promise((resolve, reject) => {
    const args = [...process.execArgv, process.argv[1], "train", task, ...flags];
    const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
    child.on("error", reject);
    child.on("close", (code) => {
      if (code === 0) resolve();
      else
        reject(
          new Error(
            `compare: expected ${out} to be trained, got exit code ${code}; the same command goes on from there`,
          ),
        );
    });
  });
}

/** Accuracy beside the paper's, and what it costs. */
export function tableOf(
  rows: ReadonlyMap<string, readonly RunResult[]>,
  reported: { readonly [attention: string]: number },
): string {
  const lines = [...rows].map(([name, results]) => {
    const shares = results.map(({ test }) => 100 * test.accuracy);
    const middle = mean(shares);
    const spread = Math.sqrt(
      mean(shares.map((share) => (share - middle) ** 2)) * (shares.length / Math.max(1, shares.length - 1)),
    );
    return [
      name,
      `${middle.toFixed(2)}${results.length > 1 ? ` ± ${spread.toFixed(2)}` : ""}`,
      name in reported ? reported[name].toFixed(2) : "–",
      String(results[0].parameters),
      String(Math.round(mean(results.map(({ tokensPerSecond }) => tokensPerSecond)))),
      String(Math.round(Math.max(...results.map(({ peakMemory }) => peakMemory)) / 2 ** 20)),
    ];
  });
  const table = [["attention", "accuracy %", "paper", "parameters", "tokens/s", "MiB"], ...lines];
  const widths = table[0].map((_, column) => Math.max(...table.map((row) => row[column].length)));
  return table
    .map((row) =>
      row.map((cell, column) => (column === 0 ? cell.padEnd(widths[0]) : cell.padStart(widths[column]))).join("  "),
    )
    .join("\n");
}

function mean(values: readonly number[]): number {
  return values.reduce((a, b) => a + b, 0) / values.length;
}
