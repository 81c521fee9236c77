import { configure } from "../experiments/configuration.ts";
import { experiment } from "../experiments/experiments.ts";
import { type PaperResult, paperResult } from "../experiments/paper-results.ts";
import { differences } from "../training/differences.ts";
import type { RunResult } from "../training/run-folder.ts";
import { decisive } from "./plan-run.ts";
import { table } from "./table.ts";

/** A mean over seeds, and the standard deviation of one: null of a single seed. */
export interface Spread {
  readonly mean: number;
  readonly deviation: number | null;
}

/** How a model did with all its seeds, on the test split. */
export interface Row {
  readonly task: string;
  readonly name: string;
  readonly seeds: readonly number[];
  /** Accuracy, 0 … 1 */
  readonly accuracy: Spread;
  /** in nats */
  readonly loss: Spread;
  /** e to the loss of a language; null of other tasks */
  readonly perplexity: Spread | null;
  readonly parameters: number;
  readonly steps: number;
  /** The mean over seeds */
  readonly tokensPerSecond: number;
  /** The largest over seeds, in bytes */
  readonly peakMemory: number;
  /** null where the paper reports nothing, and beside runs that are not as in the paper */
  readonly paper: PaperResult | null;
}

/** Tasks whose measure is the perplexity. */
const languages: readonly string[] = ["lm", "characters"];

/** Sum up the runs of one model. */
export function summary(task: string, results: readonly RunResult[]): Row {
  const [{ model, parameters, steps }] = results;
  return {
    task,
    name: model,
    seeds: results.map(({ seed }) => seed),
    accuracy: spread(results.map(({ test }) => test.accuracy)),
    loss: spread(results.map(({ test }) => test.loss)),
    perplexity: languages.includes(task) ? spread(results.map(({ test }) => Math.exp(test.loss))) : null,
    parameters,
    steps,
    tokensPerSecond: spread(results.map((result) => result.tokensPerSecond)).mean,
    peakMemory: Math.max(...results.map((result) => result.peakMemory)),
    paper: asInPaper(task, results[0]) ? paperResult(task, model) : null,
  };
}

/**
 * Whether the paper's number may stand beside a run: of the same model, task and steps, whatever its seed, its files and how often it was
 * looked at. Not beside a language, whose perplexity the paper measures by a sliding window.
 */
function asInPaper(task: string, { model, configuration }: RunResult): boolean {
  if (languages.includes(task) || paperResult(task, model) === null) return false;
  const whole = configure(experiment(task), { attention: model });
  return differences(decisive(whole), decisive(configuration as object)).length === 0;
}

function spread(values: readonly number[]): Spread {
  const mean = values.reduce((sum, x) => sum + x, 0) / values.length;
  if (values.length === 1) return { mean, deviation: null };
  const squares = values.reduce((sum, x) => sum + (x - mean) ** 2, 0);
  return { mean, deviation: Math.sqrt(squares / (values.length - 1)) };
}

/** The table that `compare` prints. */
export function comparisonTable(rows: readonly Row[]): string {
  const shown = ({ mean, deviation }: Spread, digits: number, scale = 1): string =>
    (scale * mean).toFixed(digits) + (deviation === null ? "" : ` ± ${(scale * deviation).toFixed(digits)}`);
  const language = rows.some(({ perplexity }) => perplexity);
  const heads = ["attention", language ? "perplexity" : "accuracy %", "paper", "loss", "parameters", "tokens/s", "MiB"];
  const cells = rows.map((row) => [
    row.name,
    row.perplexity ? shown(row.perplexity, 2) : shown(row.accuracy, 2, 100),
    row.paper?.value.toFixed(2) ?? "–",
    shown(row.loss, 3),
    row.parameters.toLocaleString("en"),
    Math.round(row.tokensPerSecond).toLocaleString("en"),
    String(Math.round(row.peakMemory / 2 ** 20)),
  ]);
  return table(heads, cells);
}

/** What may be said of the order of models: nothing below three seeds. */
export function orderOf(rows: readonly Row[]): string {
  const fewest = Math.min(...rows.map(({ seeds }) => seeds.length));
  if (fewest < 3) return `${fewest === 1 ? "one seed" : `${fewest} seeds`}: no order is claimed of fewer than three`;
  const measure = (row: Row): Spread => row.perplexity ?? row.accuracy;
  const better = (a: Row, b: Row): number => (a.perplexity ? 1 : -1) * (measure(a).mean - measure(b).mean);
  const sorted = [...rows].sort(better);
  const order = sorted.slice(1).reduce((text, row, i) => {
    return `${text} ${isClear(measure(sorted[i]), measure(row), fewest) ? ">" : "≈"} ${row.name}`;
  }, sorted[0].name);
  return `mean ± standard deviation over ${fewest} seeds; ${order}, where ≈ is a difference below two standard errors`;
}

/** Whether two means of so many seeds differ by more than twice the standard error of their difference. */
function isClear(a: Spread, b: Spread, seeds: number): boolean {
  const square = ({ deviation }: Spread): number => (deviation ?? 0) ** 2 / seeds;
  return Math.abs(a.mean - b.mean) > 2 * Math.sqrt(square(a) + square(b));
}
