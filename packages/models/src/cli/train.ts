import { join } from "node:path";
import { wasm } from "@fmmformer/kernels/wasm";
import { type Progress, progress } from "../progress.ts";
import { type RunEvent, run } from "../training/run.ts";
import { runFiles } from "../training/run-folder.ts";
import { configurationOf, type PlannedRun, planRun, type RunConfiguration } from "./plan-run.ts";
import type { TrainFlags } from "./program.ts";

/** Where a run is unless told. */
export function folderOf({ task, name, seed, pretraining }: RunConfiguration): string {
  return join("runs", `${task.name}-${name}-${seed}${pretraining ? "-pretraining" : ""}`);
}

/** The commands `train` and `pretrain`: a run in a folder, which Ctrl-C stops with a checkpoint. */
export async function trainRun(task: string, flags: TrainFlags): Promise<void> {
  const configuration = configurationOf(task, flags);
  const out = flags.out ?? folderOf(configuration);
  const planned = await planRun(configuration, `fmmformer ${process.argv.slice(2).join(" ")}`);

  const stop = new AbortController();
  const onSignal = (): void => {
    if (stop.signal.aborted) process.exit(130);
    process.stderr.write("\nstopping behind this step; Ctrl-C again to stop at once\n");
    stop.abort();
  };
  process.on("SIGINT", onSignal);
  process.on("SIGTERM", onSignal);
  try {
    const { result, step } = await run(planned.plan, {
      out,
      existing: flags.resume ? "resume" : flags.force ? "anew" : "refuse",
      signal: stop.signal,
      engine: wasm({ threads: flags.threads }),
      onEvent: show(planned),
    });
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

function show({ plan, task }: PlannedRun): (event: RunEvent) => void {
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
