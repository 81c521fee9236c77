import type { MetricsLine } from "../training/metrics.ts";
import type { RunResult } from "../training/run-folder.ts";
import type { AttentionMap } from "./attention-figure.ts";
import type { Curve } from "./learning-curves.ts";
import type { Report } from "./report.ts";
import { percent } from "./results-table.ts";

/** What a run is of. */
export interface RunFacts {
  readonly task: string;
  readonly name: string;
  readonly parameters: number;
  readonly steps: number;
  readonly command: string;
}

/** What came of it. */
export interface RunRecord {
  readonly metrics: readonly MetricsLine[];
  /** null where the run is not finished */
  readonly result: RunResult | null;
  readonly maps: readonly AttentionMap[];
}

/** The most points of a curve that a page draws */
const mostPoints = 600;

/** The report of one run, finished or not. */
export function runReport(facts: RunFacts, { metrics, result, maps }: RunRecord): Report {
  const { task, name, parameters, steps, command } = facts;
  const made = metrics.at(-1)?.step ?? 0;
  const row = result && {
    task,
    model: name,
    accuracy: result.test.accuracy,
    loss: result.test.loss,
    parameters,
    steps,
    tokensPerSecond: result.tokensPerSecond,
    seconds: result.seconds,
  };
  const curve = runCurve(task, name, metrics);
  const last = metrics.findLast(({ kind }) => kind === "validation");
  const notes = result
    ? [
        `Tested with the parameters of step ${result.best.step}, where the validation split had loss ` +
          `${result.best.loss.toFixed(3)} and accuracy ${percent(result.best.accuracy)}. Seed ${result.seed}.`,
      ]
    : [
        `Stopped after ${made} of ${steps} steps, not tested.`,
        ...(last ? [`Validation at step ${last.step}: loss ${last.loss.toFixed(3)}, ${percent(last.accuracy)}.`] : []),
      ];
  return {
    title: `${task}, ${name}`,
    command,
    date: new Date().toISOString().slice(0, 10),
    table: row ? [row] : [],
    curves: curve.steps.length > 0 ? [curve] : [],
    maps,
    notes,
  };
}

/** The curves that metrics tell, of at most 600 points: each the mean of the steps up to it. */
export function runCurve(task: string, model: string, metrics: readonly MetricsLine[]): Curve {
  const lines = metrics.filter(({ kind }) => kind === "step");
  const stride = Math.max(1, Math.ceil(lines.length / mostPoints));
  const groups = Array.from({ length: Math.ceil(lines.length / stride) }, (_, i) =>
    lines.slice(i * stride, (i + 1) * stride),
  );
  const mean = (group: typeof lines, of: "loss" | "accuracy"): number =>
    group.reduce((sum, line) => sum + line[of], 0) / group.length;
  const validation = metrics.filter(({ kind }) => kind === "validation");
  return {
    task,
    model,
    steps: groups.map((group) => group[group.length - 1].step),
    loss: groups.map((group) => mean(group, "loss")),
    accuracy: groups.map((group) => mean(group, "accuracy")),
    ...(validation.length > 0 && {
      validation: {
        steps: validation.map(({ step }) => step),
        loss: validation.map(({ loss }) => loss),
        accuracy: validation.map(({ accuracy }) => accuracy),
      },
    }),
  };
}
