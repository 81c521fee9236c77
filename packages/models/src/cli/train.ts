import { join } from "node:path";
import { wasm } from "@fmmformer/kernels/wasm";
import { experimentOf } from "../experiments/experiments.ts";
import { type Choices, nameOf, type Planned, planOf, transferred } from "../experiments/plan.ts";
import { type Progress, progress } from "../progress.ts";
import { openCheckpoint } from "../training/checkpoint.ts";
import { type RunEvent, run } from "../training/run.ts";
import { runFiles } from "../training/run-folder.ts";
import type { TrainFlags } from "./program.ts";

/** What flags choose. */
export function choicesOf(task: string, flags: TrainFlags): Choices {
  const { batch, set, threads: _, out: __, resume: ___, force: ____, from: _____, ...own } = flags;
  return { ...own, task, ...(batch !== undefined && { batchSize: batch }), ...(set && { numbers: set }) };
}

/** Where a run is unless told. */
export function folderOf({ task, attention, seed = 0, pretraining }: Choices): string {
  const name = nameOf(attention ?? experimentOf(task).attention);
  return join("runs", `${task}-${name}-${seed}${pretraining ? "-pretraining" : ""}`);
}

/** The commands `train` and `pretrain`: a run in a folder, which Ctrl-C stops with a checkpoint. */
export async function trainRun(task: string, flags: TrainFlags): Promise<void> {
  const choices = choicesOf(task, flags);
  const out = flags.out ?? folderOf(choices);
  const typed = `fmmformer ${process.argv.slice(2).join(" ")}`;
  const planned = await planOf(choices, { onProgress: showReading(task), command: typed });
  const start = flags.from === undefined ? {} : { params: startFrom(planned, flags.from) };

  const stop = new AbortController();
  const onSignal = (): void => {
    if (stop.signal.aborted) process.exit(130);
    process.stderr.write("\nstopping behind this step; Ctrl-C again to stop at once\n");
    stop.abort();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  try {
    const { result, step } = await run(
      { ...planned.plan, ...start },
      {
        out,
        existing: flags.resume ? "resume" : flags.force ? "anew" : "refuse",
        signal: stop.signal,
        engine: wasm({ threads: flags.threads }),
        onEvent: show(planned),
      },
    );
    if (!result) {
      process.stderr.write(`stopped after ${step} of ${planned.plan.steps} steps; go on with --resume --out ${out}\n`);
      process.exitCode = 130;
      return;
    }
    const { test, best, parameters, tokensPerSecond } = result;
    const percent = (share: number): string => `${(100 * share).toFixed(2)} %`;
    console.log(
      `test accuracy ${percent(test.accuracy)}, loss ${test.loss.toFixed(4)} with the parameters of step ${best.step} ` +
        `(validation ${percent(best.accuracy)}); ${parameters} parameters, ${Math.round(tokensPerSecond)} tokens/s`,
    );
    console.log(`${join(out, runFiles.report)} has the curves`);
  } finally {
    process.off("SIGINT", onSignal);
    process.off("SIGTERM", onSignal);
  }
}

function startFrom(planned: Planned, path: string): unknown {
  const { params, taken, missing } = transferred(planned, openCheckpoint(path).tensors);
  if (taken === 0)
    throw new TypeError(`train: expected a checkpoint that fits this model, got ${path}; nothing in it does`);
  process.stderr.write(`${taken} tensors are those of ${path}; new: ${missing.join(", ") || "none"}\n`);
  return params;
}

function show({ plan, task }: Planned): (event: RunEvent) => void {
  let bar: Progress | undefined;
  const tokensPerStep = plan.batchSize * task.length * (task.kind === "classify-pairs" ? 2 : 1);
  return (event) => {
    if (event.kind === "start") bar = progress(`${task.name}, ${plan.name}`, { steps: plan.steps, tokensPerStep });
    if (event.kind === "step") bar?.step(event.step, event);
    if (event.kind === "validation" && !process.stderr.isTTY) {
      const { step, loss, accuracy, best } = event;
      const share = (100 * accuracy).toFixed(1);
      process.stderr.write(
        `validation at step ${step}: loss ${loss.toFixed(3)}, accuracy ${share} %${best ? ", the best" : ""}\n`,
      );
    }
  };
}

/** Files that are read for the first time take a while. */
export function showReading(task: string): (read: number, size: number) => void {
  let tenths = 0;
  return (read, size) => {
    const reached = Math.floor((10 * read) / Math.max(size, 1));
    if (reached === tenths) return;
    tenths = reached;
    process.stderr.write(`${task}: ${10 * reached} % of ${Math.ceil(size / 1e6)} MB read\n`);
  };
}
