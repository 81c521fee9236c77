import { appendFileSync, existsSync, readFileSync } from "node:fs";
import { dirname } from "node:path";
import { writeWhole } from "../files/write-whole.ts";
import { eventFiles, openEventFile } from "./event-file.ts";
import { RunError, writeOrTell } from "./run-error.ts";

/** What was measured in a step, of the batch that it trained on. */
export interface StepLine {
  readonly kind: "step";
  readonly step: number;
  /** in nats */
  readonly loss: number;
  /** 0 … 1 */
  readonly accuracy: number;
  readonly learningRate: number;
  readonly tokensPerSecond: number;
  /** of training so far, evaluations apart */
  readonly seconds: number;
}

/** What was measured of a split. */
export interface EvaluationLine {
  readonly kind: "validation" | "test";
  /** Steps made */
  readonly step: number;
  readonly loss: number;
  readonly accuracy: number;
}

/** A line of metrics.jsonl. */
export type MetricsLine = StepLine | EvaluationLine;

/** A file of lines, of which the last ones may wait in memory. */
export interface Metrics {
  /** Those of the whole run, in order. */
  readonly lines: readonly MetricsLine[];
  add(line: MetricsLine): void;
  /** Write what waits. */
  flush(): void;
}

/**
 * Open the file of an unfinished run's metrics, one JSON object a line, to add to it. What it tells of later steps than `step`, or of the
 * test, is dropped, since that is done again; so is a last line that was cut short. An event file beside it tells TensorBoard the same,
 * also of lines before where the run has no event file yet.
 *
 * @throws RunError when another line is no JSON, or a file cannot be written
 */
export function openMetrics(path: string, step: number): Metrics {
  const lines = readMetrics(path).filter((line) => line.step <= step && line.kind !== "test");
  writeOrTell(path, () => writeWhole(path, lines.map(format).join("")));
  const out = dirname(path);
  const told = eventFiles(out).length > 0;
  const events = openEventFile(out, step);
  if (!told) for (const line of lines) events.add(line.step, valuesOf(line));
  events.flush();
  let waiting = "";
  let flushed = performance.now();
  const flush = (): void => {
    // Before the lines, whose measurements are not made again: a run that is killed in between tells one twice, and never leaves one out.
    events.flush();
    if (waiting !== "") writeOrTell(path, () => appendFileSync(path, waiting));
    waiting = "";
    flushed = performance.now();
  };
  return {
    lines,
    add(line) {
      lines.push(line);
      waiting += format(line);
      events.add(line.step, valuesOf(line));
      if (line.kind !== "step" || performance.now() - flushed > 1000) flush();
    },
    flush,
  };
}

/**
 * Read the metrics of a run; none where there is no file. A last line without an end is left out: it was being written.
 *
 * @throws RunError when another line is no JSON
 */
export function readMetrics(path: string): MetricsLine[] {
  if (!existsSync(path)) return [];
  const whole = readFileSync(path, "utf8").split("\n").slice(0, -1);
  return whole.map((line, i) => {
    try {
      return JSON.parse(line) as MetricsLine;
    } catch (cause) {
      const got = JSON.stringify(line.slice(0, 40));
      throw new RunError(`metrics: expected JSON in ${path}:${i + 1}, got ${got}; remove that line`, { cause });
    }
  });
}

function format(line: MetricsLine): string {
  return `${JSON.stringify(line)}\n`;
}

/** The numbers of a line by their tags. */
function valuesOf(line: MetricsLine): { readonly [tag: string]: number } {
  const { kind, loss, accuracy } = line;
  if (kind !== "step") return { [`${kind}/loss`]: loss, [`${kind}/accuracy`]: accuracy };
  const { learningRate, tokensPerSecond } = line;
  return {
    "train/loss": loss,
    "train/accuracy": accuracy,
    "train/learningRate": learningRate,
    "train/tokensPerSecond": tokensPerSecond,
  };
}
