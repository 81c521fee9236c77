import { spawn } from "node:child_process";
import { constants } from "node:os";
import { join } from "node:path";
import { experiment } from "../experiments/experiments.ts";
import { writeWhole } from "../files/write-whole.ts";
import { writeReport } from "../report/report.ts";
import { runCurve } from "../report/run-report.ts";
import { differences, type Json } from "../training/differences.ts";
import { readMetrics } from "../training/metrics.ts";
import { RunError } from "../training/run-error.ts";
import { type RunResult, readResult, runFiles } from "../training/run-folder.ts";
import { comparisonTable, orderOf, type Row, summary } from "./comparison.ts";
import { configurationOf, type RunConfiguration } from "./plan-run.ts";
import { commandOf, folderOf, wholeRun } from "./train.ts";
import type { TrainFlags } from "./train-flags.ts";

export type CompareFlags = Omit<TrainFlags, "attention" | "preset" | "seed"> & {
  readonly attentions?: readonly string[];
  readonly seeds: readonly number[];
  readonly json?: boolean;
};

/** A model and a seed. */
interface Planned {
  readonly attention: string;
  readonly seed: number;
  readonly out: string;
  readonly configuration: RunConfiguration;
}

/**
 * The command `compare`: a process for each run, one after the other. What is finished with the same options is not run again, unless forced;
 * Ctrl-C stops the run that is at work with a checkpoint, and all.
 */
export async function compare(name: string, flags: CompareFlags): Promise<void> {
  const { task, ...own } = experiment(name);
  const { attentions = Object.keys(own.attentions), out: root = "runs", json = false } = flags;
  if (attentions.length === 0 || flags.seeds.length === 0) {
    throw new TypeError("compare: expected one attention and one seed at least, got none");
  }
  const named = attentions.flatMap((attention) =>
    flags.seeds.map((seed): Planned => {
      const configuration = configurationOf(task, { ...flags, attention, seed });
      const out = flags.out ? join(root, `${configuration.name}-${seed}`) : folderOf(configuration);
      return { attention, seed, out, configuration };
    }),
  );
  // A model may be named twice, or by a short name and a long one.
  const planned = [...new Map(named.map((each) => [each.out, each])).values()];
  for (const each of planned) {
    if (finished(each) && !flags.force) continue;
    if (await train(task, each, flags)) continue;
    process.stderr.write(
      `compare: stopped at ${each.out}; go on with\n  ${commandOf(wholeRun(process.argv.slice(2)))}\n`,
    );
    process.exitCode = stopped;
    return;
  }

  const names = [...new Set(planned.map(({ configuration }) => configuration.name))];
  const rows = names.map((name) => {
    const own = planned.filter(({ configuration }) => configuration.name === name);
    return summary(
      task,
      own.map((each) => finished(each) as RunResult),
    );
  });
  writeWhole(join(root, `${task}-compared.json`), `${JSON.stringify(rows, null, 2)}\n`);
  await writePage(join(root, `${task}-compared.html`), task, { planned, rows });
  console.log(json ? JSON.stringify(rows, null, 2) : `${comparisonTable(rows)}\n\n${orderOf(rows)}`);
}

/** What came of a run with this very configuration; null where there is none. */
function finished({ out, configuration }: Planned): RunResult | null {
  const result = readResult(out);
  const wanted = JSON.parse(JSON.stringify(configuration)) as Json;
  return result && differences(result.configuration, wanted).length === 0 ? result : null;
}

/** The exit code of a run that a signal stopped, as of shells. */
const stopped = 128 + constants.signals.SIGINT;

/** Run `train` with the flags that were given to `compare`, in a process whose peak of memory is its own. False where it was stopped. */
async function train(task: string, { attention, seed, out }: Planned, given: CompareFlags): Promise<boolean> {
  const flags = ["--attention", attention, "--seed", String(seed), "--out", out, ...wordsOf(given)];
  const args = [...process.execArgv, process.argv[1], "train", task, ...flags, given.force ? "--force" : "--resume"];
  const child = spawn(process.execPath, args, { stdio: ["ignore", "ignore", "inherit"] });
  // The run writes its checkpoint, and this process waits for it. Ctrl-C reaches both, and counts once there.
  const pass = (signal: NodeJS.Signals): boolean => child.kill(signal);
  process.on("SIGINT", pass);
  process.on("SIGTERM", pass);
  try {
    const code = await new Promise<number>((resolve, reject) => {
      child.on("error", reject);
      child.on("close", (status, signal) => resolve(status ?? 128 + constants.signals[signal as NodeJS.Signals]));
    });
    if (code === 0 || code === stopped) return code === 0;
    const again = commandOf(wholeRun(process.argv.slice(2)));
    throw new RunError(`compare: expected ${out} to be trained, got exit code ${code}; go on with ${again}`);
  } finally {
    process.off("SIGINT", pass);
    process.off("SIGTERM", pass);
  }
}

/** Flags of `compare` that each run takes too, as they are typed. */
function wordsOf(given: CompareFlags): string[] {
  const { attentions, seeds, out, resume, force, json, set, ...passed } = given;
  const words = Object.entries(passed).flatMap(([name, value]) => {
    const flag = `--${name.replace(/[A-Z]/g, (letter) => `-${letter.toLowerCase()}`)}`;
    return value === true ? [flag] : value === undefined || value === false ? [] : [flag, String(value)];
  });
  const settings = Object.entries(set ?? {}).map(([name, value]) => `${name}=${value}`);
  return settings.length > 0 ? [...words, "--set", settings.join()] : words;
}

interface Compared {
  readonly planned: readonly Planned[];
  readonly rows: readonly Row[];
}

async function writePage(path: string, task: string, { planned, rows }: Compared): Promise<void> {
  const [{ seed }] = planned;
  await writeReport(path, {
    title: `${task}, compared`,
    command: commandOf(process.argv.slice(2)),
    date: new Date().toISOString().slice(0, 10),
    table: rows.map(({ name, accuracy, loss, parameters, tokensPerSecond, steps }) => ({
      ...{ task, model: name, accuracy: accuracy.mean, loss: loss.mean, parameters, tokensPerSecond, steps },
    })),
    curves: planned
      .filter((each) => each.seed === seed)
      .map(({ out, configuration }) => runCurve(task, configuration.name, readMetrics(join(out, runFiles.metrics)))),
    maps: [],
    notes: [orderOf(rows), `The curves are those of seed ${seed}.`],
  });
}
