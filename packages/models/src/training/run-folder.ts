import { existsSync, readFileSync, rmSync, statfsSync, statSync } from "node:fs";
import { join } from "node:path";
import { flatten } from "@fmmformer/autodiff";
import { writeWhole } from "../files/write-whole.ts";
import { type Best, CheckpointError } from "./checkpoint.ts";
import { differences, type Json } from "./differences.ts";
import { eventFiles } from "./event-file.ts";
import { RunError, reasonOf } from "./run-error.ts";
import type { StepValues, TrainState } from "./stepper.ts";

/** The files of a run, the event files apart: there is one more of them each time that it goes on. */
export const runFiles = {
  /** The configuration, written first */
  configuration: "run.json",
  metrics: "metrics.jsonl",
  checkpoint: "checkpoint.safetensors",
  /** Parameters alone */
  best: "best.safetensors",
  report: "report.html",
  /** Written last */
  result: "result.json",
} as const;

/** What came of a finished run: what `result.json` holds. */
export interface RunResult {
  readonly task: string;
  readonly model: string;
  readonly seed: number;
  readonly parameters: number;
  readonly steps: number;
  /** On the validation split, where it was best: those parameters were tested */
  readonly best: Best;
  readonly test: StepValues;
  /** of training, evaluations apart, compiling included */
  readonly seconds: number;
  /** The median over the steps, which compiling does not touch */
  readonly tokensPerSecond: number;
  /** The most memory that the process ever had, in bytes */
  readonly peakMemory: number;
  readonly configuration: Json;
}

/** What to do about a run that is in a folder: refuse it, go on with it, or remove it. */
export type Existing = "refuse" | "resume" | "anew";

/**
 * Whether a folder holds a run to go on with.
 *
 * @throws RunError when it holds a run and may not, or files of one without its configuration / CheckpointError when the run there has
 *   another configuration
 */
export function goesOn(out: string, configuration: Json, existing: Existing): boolean {
  if (existing === "anew") return false;
  const there = readConfiguration(out);
  if (there === null) {
    const file = namesIn(out).find((name) => existsSync(join(out, name)));
    if (file === undefined) return false;
    throw new RunError(
      `run: expected a folder without a run, got ${out}, which has ${file} but no ${runFiles.configuration}; ` +
        "give another folder, or begin it anew, which removes that",
    );
  }
  if (existing === "refuse") {
    throw new RunError(`run: expected a folder without a run, got ${out}, which has one; resume it, or begin it anew`);
  }
  const different = differences(there, configuration);
  if (different.length === 0) return true;
  throw new CheckpointError(
    `run: expected the configuration that ${out} began with, got another one (${different.join("; ")}); ` +
      "give the same options, another folder, or begin it anew",
  );
}

/**
 * Make a folder this run's: another one in it is removed, and its configuration is in it from then on.
 *
 * @throws RunError when it cannot be written
 */
export function beginFolder(out: string, configuration: Json): void {
  try {
    // The configuration last, so that what is left of a run is known as one.
    for (const file of namesIn(out).reverse()) rmSync(join(out, file), { force: true });
    writeWhole(join(out, runFiles.configuration), `${JSON.stringify(configuration, null, 2)}\n`);
  } catch (cause) {
    throw unwritable(out, cause);
  }
}

/** What the files of a run are called, also those that are not there. */
function namesIn(out: string): string[] {
  return [...Object.values(runFiles), ...eventFiles(out)];
}

/** The error of a folder in which a run cannot write. */
export function unwritable(out: string, cause: unknown): RunError {
  const got = `${out} (${reasonOf(cause)})`;
  return new RunError(`run: expected a folder that can be written, got ${got}; give another`, { cause });
}

/**
 * See that checkpoints will fit: the old one is there while the new one is written, and the best parameters besides. What is there of a
 * run makes room for them.
 *
 * @throws RunError when they do not
 */
export function checkSpace<Params>(out: string, { params, optimizer }: TrainState<Params>): void {
  const bytes = (tree: unknown): number =>
    flatten(tree).leaves.reduce<number>((sum, x) => sum + (typeof x === "number" ? 8 : x.data.byteLength), 0);
  const needed = 2 * (bytes(params) + bytes(optimizer)) + bytes(params);
  const { bavail, bsize } = statfsSync(out);
  const sizeOf = (file: string): number => statSync(join(out, file), { throwIfNoEntry: false })?.size ?? 0;
  const free = bavail * bsize + sizeOf(runFiles.checkpoint) + sizeOf(runFiles.best);
  if (free >= needed) return;
  const mega = (count: number): string => `${Math.ceil(count / 1e6)} MB`;
  throw new RunError(
    `run: expected ${mega(needed)} free in ${out} for checkpoints, got ${mega(free)}; give another folder`,
  );
}

/**
 * What came of the run in a folder; null where it is not finished.
 *
 * @throws RunError when the file is damaged
 */
export function readResult(out: string): RunResult | null {
  return (readJson(join(out, runFiles.result), "remove it and resume the run") ?? null) as RunResult | null;
}

/**
 * The configuration of the run in a folder; null where there is no run.
 *
 * @throws RunError when the file is damaged
 */
export function readConfiguration(out: string): Json | null {
  return (readJson(join(out, runFiles.configuration), "begin the run anew") ?? null) as Json | null;
}

function readJson(path: string, remedy: string): unknown {
  if (!existsSync(path)) return undefined;
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new RunError(`run: expected JSON in ${path}, got a damaged file; ${remedy}`, { cause });
  }
}
