import type { Engine } from "@fmmformer/autodiff";
import { wasm } from "@fmmformer/kernels/wasm";
import { parameterCount } from "../parameter-count.ts";
import { type Progress, progress } from "../progress.ts";
import { isLanguageTask, type LanguageTask } from "../tasks/language-task.ts";
import { evaluate } from "../training/evaluate.ts";
import { type Perplexity, type PerplexitySoFar, slidingPerplexity } from "../training/perplexity.ts";
import { sayMeasuring } from "./measuring.ts";
import { openRun } from "./open-run.ts";
import { shown } from "./train.ts";

export interface EvaluateFlags {
  readonly split: "validation" | "test";
  readonly batches?: number;
  readonly window?: number;
  readonly stride?: number;
  readonly data?: string;
  readonly threads: number;
  readonly json?: boolean;
}

/** The command `evaluate`: of a run on text, the perplexity of a window that slides over it as well. */
export async function evaluateRun(out: string, flags: EvaluateFlags): Promise<void> {
  const { split, threads, json = false } = flags;
  const opened = await openRun(out, flags.data);
  const { plan, task, params, step } = opened;
  if (!isLanguageTask(task) && (flags.window ?? flags.stride) !== undefined) {
    throw new TypeError(
      `evaluate: expected a run of words or characters for --window and --stride, got one of ${task.name}`,
    );
  }
  const slide = isLanguageTask(task) ? sliding(opened, task, flags) : undefined;
  const { batchSize, tests, batches } = plan.evaluation;
  const most = flags.batches ?? (split === "test" ? tests : batches);
  const engine = wasm({ threads });
  const measured = { split, ...(most !== undefined && { batches: most }) };
  const onBatch = sayMeasuring(task, { ...measured, batchSize });
  const values = evaluate(plan.model, params, task, { ...measured, batchSize, engine, onBatch });
  if (!json) console.log(`${split} ${shown(values, task)} with the parameters of step ${step}`);
  const slid = slide?.(engine, most);
  if (json) {
    const facts = { task: task.name, name: plan.name, seed: plan.seed, split, step };
    const sizes = { parameters: parameterCount(params) };
    console.log(JSON.stringify({ ...facts, ...sizes, ...values, ...(slid && { sliding: slid }) }, null, 2));
  } else if (slid) {
    const { window, stride, tokens, perplexity, bitsPerCharacter } = slid;
    const bits = bitsPerCharacter === undefined ? "" : `, ${bitsPerCharacter.toFixed(4)} bits per character`;
    console.log(
      `${split} perplexity ${perplexity.toFixed(2)}${bits} with a window of ${window}, stride ${stride}, over ${tokens} tokens`,
    );
  }
}

/** How well a text is told through a window that slides over it. */
interface Slid extends Perplexity {
  readonly window: number;
  readonly stride: number;
  /** Of characters alone */
  readonly bitsPerCharacter?: number;
}

/** Check the flags; what comes of it measures the text of as many batches of examples. */
function sliding(
  { plan, options, params }: Awaited<ReturnType<typeof openRun>>,
  task: LanguageTask,
  { split, window = task.length, stride = 1 }: EvaluateFlags,
): (engine: Engine, batches: number | undefined) => Slid {
  if (window > options.length) {
    throw new RangeError(
      `evaluate: expected window ≤ ${options.length}, which the model has positions for, got ${window}`,
    );
  }
  if (stride > window) throw new RangeError(`evaluate: expected stride ≤ window (${window}), got ${stride}`);
  const { batchSize } = plan.evaluation;
  return (engine, batches = Infinity) => {
    const tokens = task.tokens(split, 0, Math.min(task.size[split], batches * batchSize * task.length + 1));
    let bar: Progress | undefined;
    const onBatch = ({ done, batches: steps, loss }: PerplexitySoFar): void => {
      bar ??= progress(`${task.name}, window`, { steps, tokensPerStep: batchSize * window });
      if (done > 0) bar.step(done, { loss });
    };
    const measured = slidingPerplexity(plan.model, params, tokens, { window, stride, batchSize, engine, onBatch });
    const bits = task.name === "characters" ? { bitsPerCharacter: measured.loss / Math.LN2 } : {};
    return { window, stride, ...measured, ...bits };
  };
}
