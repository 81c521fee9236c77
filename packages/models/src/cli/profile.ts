import { profileTable, wasm } from "@fmmformer/kernels/wasm";
import { parameterCount } from "../parameter-count.ts";
import { sequencesOf } from "../tasks/task.ts";
import { stepper } from "../training/stepper.ts";
import { configurationOf, planRun } from "./plan-run.ts";
import type { TrainFlags } from "./train-flags.ts";

export interface ProfileFlags extends TrainFlags {
  readonly runs: number;
  readonly json?: boolean;
}

/** The command `profile`: what the steps of a training step take. Nothing is written. */
export async function profileTask(name: string, flags: ProfileFlags): Promise<void> {
  const { threads, runs, json = false } = flags;
  const { plan, task } = await planRun(configurationOf(name, flags));
  const { model, optimizer, batchSize, seed } = plan;
  const steps = stepper(model, task, { optimizer, batchSize, seed, engine: wasm({ threads, profile: true }) });
  steps.next(); // compiles
  const walls = Array.from({ length: runs }, () => {
    const began = performance.now();
    steps.next();
    return performance.now() - began;
  }).sort((a, b) => a - b);
  const stats = steps.stats();
  if (!stats) throw new Error("profile: expected the engine to tell what a step costs, got nothing");
  const [minimum, median] = [walls[0], walls[runs >> 1]];
  const tokens = batchSize * task.length * sequencesOf(task);
  if (json) {
    console.log(
      JSON.stringify({ task: task.name, name: plan.name, threads, tokens, minimum, median, ...stats }, null, 2),
    );
    return;
  }
  console.log(profileTable(stats));
  const count = parameterCount(steps.state().params);
  console.log(
    `\n${task.name}, ${plan.name}: ${count} parameters, ${batchSize} × ${task.length} tokens a step, threads ${threads}; ${runs} steps, ` +
      `median ${median.toFixed(1)} ms, minimum ${minimum.toFixed(1)}: ${Math.round((1000 * tokens) / median)} tokens/s, ` +
      `${(stats.peakBytes / 1e6).toFixed(1)} MB at once`,
  );
}
