import { existsSync, mkdirSync, readFileSync, rmSync, statfsSync } from "node:fs";
import { join } from "node:path";
import { flatten } from "@fmmformer/autodiff";
import { writeWhole } from "../files/write-whole.ts";
import { type Best, CheckpointError } from "./checkpoint.ts";
import { differences, type Json } from "./differences.ts";
import { RunError } from "./run-error.ts";
import type { StepValues, TrainState } from "./stepper.ts";

/** The files of a run. */
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
 * Make a folder this run's: its configuration is in it from then on.
 *
 * @throws RunError when it holds another run or cannot be written / CheckpointError when the run there has another configuration
 */
export function claimFolder(out: string, configuration: Json, existing: Existing): void {
  const there = readConfiguration(out);
  if (there !== null && existing === "refuse") {
    throw new RunError(`run: expected a folder without a run, got ${out}, which has one; resume it, or begin it anew`);
  }
  if (there !== null && existing === "resume") {
    const different = differences(there, configuration);
    if (different.length === 0) return;
    throw new CheckpointError(
      `run: expected the configuration that ${out} began with, got another one (${different.join("; ")}); ` +
        "give the same options, another folder, or begin it anew",
    );
  }
  try {
    mkdirSync(out, { recursive: true });
    for (const file of Object.values(runFiles)) rmSync(join(out, file), { force: true });
    writeWhole(join(out, runFiles.configuration), `${JSON.stringify(configuration, null, 2)}\n`);
  } catch (cause) {
    const why = cause instanceof Error ? cause.message : String(cause);
    throw new RunError(`run: expected a folder that can be written, got ${out} (${why}); give another`, { cause });
  }
}

/**
 * See that checkpoints will fit: the old one is there while the new one is written, and the best parameters besides.
 *
 * @throws RunError when they do not
 */
export function checkSpace<Params>(out: string, { params, optimizer }: TrainState<Params>): void {
  const bytes = (tree: unknown): number =>
    flatten(tree).leaves.reduce<number>((sum, x) => sum + (typeof x === "number" ? 8 : x.data.byteLength), 0);
  const needed = 2 * (bytes(params) + bytes(optimizer)) + bytes(params);
  const { bavail, bsize } = statfsSync(out);
  if (bavail * bsize >= needed) return;
  const mega = (count: number): string => `${Math.ceil(count / 1e6)} MB`;
  throw new RunError(
    `run: expected ${mega(needed)} free in ${out} for checkpoints, got ${mega(bavail * bsize)}; give another folder`,
  );
}

/**
 * What came of the run in a folder; null where it is not finished.
 *
 * @throws RunError when the file is damaged
 */
export function readResult(out: string): RunResult | null {
  return (readJson(join(out, runFiles.result)) ?? null) as RunResult | null;
}

/**
 * The configuration of the run in a folder; null where there is no run.
 *
 * @throws RunError when the file is damaged
 */
export function readConfiguration(out: string): Json | null {
  return (readJson(join(out, runFiles.configuration)) ?? null) as Json | null;
}

function readJson(path: string): unknown {
  if (!existsSync(path)) return undefined;
  try {
    return JSON.parse(readFileSync(path, "utf8"));
  } catch (cause) {
    throw new RunError(`run: expected JSON in ${path}, got something else; the file is damaged`, { cause });
  }
}
