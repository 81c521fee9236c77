import { join } from "node:path";
import { wasm } from "@fmmformer/kernels/wasm";
import { type Progress, progress } from "../progress.ts";
import { sequencesOf, type Task } from "../tasks/task.ts";
import { type RunEvent, run } from "../training/run.ts";
import { runFiles } from "../training/run-folder.ts";
import type { StepValues } from "../training/stepper.ts";
import { sayMeasuring } from "./measuring.ts";
import { configurationOf, type PlannedRun, planRun, type RunConfiguration } from "./plan-run.ts";
import type { TrainFlags } from "./train-flags.ts";

/** Where a run is unless told. */
export function folderOf({ task, name, seed, pretraining }: RunConfiguration): string {
  return join("runs", `${task.name}-${name}-${seed}${pretraining ? "-pretraining" : ""}`);
}

/** The commands `train` and `pretrain`: a run in a folder, which Ctrl-C stops with a checkpoint. */
export async function trainRun(task: string, flags: TrainFlags): Promise<void> {
  const configuration = configurationOf(task, flags);
  const out = flags.out ?? folderOf(configuration);
  const typed = commandOf(wholeRun(process.argv.slice(2)));
  const planned = await planRun(configuration, typed);

  const stop = new AbortController();
  let told = Infinity;
  const onSignal = (): void => {
    // Those that came while a step kept us from listening, or from a shell and `compare` both, are one.
    if (performance.now() - told > 1000) process.exit(130);
    if (stop.signal.aborted) return;
    process.stderr.write("\nstopping behind this step; Ctrl-C again to stop at once\n");
    told = performance.now();
    stop.abort();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  try {
    const { result, step } = await run(planned.plan, {
      out,
      existing: flags.resume ? "resume" : flags.force ? "anew" : "refuse",
      signal: stop.signal,
      ...(flags.until !== undefined && { until: flags.until }),
      engine: wasm({ threads: flags.threads }),
      onEvent: show(planned, flags.until),
    });
    if (!result) {
      process.stderr.write(`stopped after ${step} of ${planned.plan.steps} steps; go on with\n  ${typed} --resume\n`);
      if (stop.signal.aborted) process.exitCode = 130;
      return;
    }
    const { test, best, parameters, tokensPerSecond } = result;
    console.log(
      `test ${shown(test, planned.task)} with the parameters of step ${best.step} ` +
        `(validation ${percent(best.accuracy)}); ${parameters} parameters, ${Math.round(tokensPerSecond)} tokens/s`,
    );
    console.log(`${join(out, runFiles.report)} has the curves`);
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
}

/** The words without those that say what this call does of a run. */
export function wholeRun(words: readonly string[]): string[] {
  return words.filter((word, i) => !/^--(resume|force|until|until=.*)$/.test(word) && words[i - 1] !== "--until");
}

/** What was typed, as a shell reads it. */
export function commandOf(words: readonly string[]): string {
  const quoted = (word: string): string => (/^[\w./:=,@+-]+$/.test(word) ? word : `'${word.replaceAll("'", "'\\''")}'`);
  return ["fmmformer", ...words.map(quoted)].join(" ");
}

function percent(share: number): string {
  return `${(100 * share).toFixed(2)} %`;
}

/** Accuracy and loss, and the perplexity of a model that names the next token. */
export function shown({ loss, accuracy }: StepValues, task: Task): string {
  const both = `accuracy ${percent(accuracy)}, loss ${loss.toFixed(4)}`;
  return namesNext(task) ? `${both}, perplexity ${Math.exp(loss).toFixed(2)}` : both;
}

/** Whether what a task asks at a token is the next one. */
export function namesNext({ causal, kind, classes, vocabulary }: Task): boolean {
  return causal && kind === "label-tokens" && classes === vocabulary;
}

function show({ plan, task }: PlannedRun, until = plan.steps): (event: RunEvent) => void {
  let bar: Progress | undefined;
  let note: string | undefined;
  let measuring: ((done: number) => void) | undefined;
  const tokensPerStep = plan.batchSize * task.length * sequencesOf(task);
  const { batchSize, batches, tests } = plan.evaluation;
  // There are many looks at the validation split: those that take a moment would fill a log.
  const measure = (split: "validation" | "test"): ((done: number) => void) =>
    sayMeasuring(task, { split, batchSize, batches: split === "test" ? tests : batches }, split === "test" ? 0 : 5);
  return (event) => {
    if (event.kind === "start") {
      const steps = Math.min(until, plan.steps);
      bar = progress(`${task.name}, ${plan.name}`, { steps, tokensPerStep, made: event.step });
    }
    if (event.kind === "step") bar?.step(event.step, { ...event, note });
    if (event.kind === "measuring") {
      if (event.done === 1) measuring = measure(event.split);
      measuring?.(event.done);
    }
    if (event.kind === "validation") note = `validation ${(100 * event.accuracy).toFixed(1)} %`;
    if (event.kind === "validation" && !process.stderr.isTTY) {
      const { step, loss, accuracy, best } = event;
      const share = (100 * accuracy).toFixed(1);
      process.stderr.write(
        `validation at step ${step}: loss ${loss.toFixed(3)}, accuracy ${share} %${best ? ", the best" : ""}\n`,
      );
    }
  };
}
