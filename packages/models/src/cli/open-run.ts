import { join } from "node:path";
import { fromNamedTensors } from "../files/named-tensors.ts";
import { openCheckpoint } from "../training/checkpoint.ts";
import { RunError } from "../training/run-error.ts";
import { readConfiguration, runFiles } from "../training/run-folder.ts";
import { firstParams } from "../training/stepper.ts";
import { type PlannedRun, planRun, type RunConfiguration } from "./plan-run.ts";

/**
 * A run of the command line as it was planned, with its best parameters.
 *
 * @param data - the folder of the task's files, where that is another one by now; where the task made its examples, its options were for
 *   making them and go
 * @throws RunError when the folder has no such run / SafetensorsError when its parameters are of another model
 */
export async function openRun(
  out: string,
  data?: string,
): Promise<PlannedRun & { readonly params: unknown; readonly step: number }> {
  const configuration = readRun(out);
  const { from: _, ...rest } = configuration;
  const made = configuration.data === null && data !== undefined;
  const task = made ? { ...rest.task, options: {} } : rest.task;
  const planned = await planRun({ ...rest, task, data: data ?? configuration.data });
  const { tensors, facts } = openCheckpoint(join(out, runFiles.best));
  const own = Object.fromEntries(Object.entries(tensors).filter(([name]) => name.startsWith("params.")));
  return {
    ...planned,
    params: fromNamedTensors(firstParams(planned.plan.model, planned.plan.seed), own, "params"),
    step: facts.step,
  };
}

/**
 * What a run of the command line was told.
 *
 * @throws RunError when the folder has no such run
 */
export function readRun(out: string): RunConfiguration {
  const configuration = readConfiguration(out) as RunConfiguration | null;
  if (!configuration?.task?.name) throw new RunError(`run: expected a folder of fmmformer train, got ${out}`);
  return configuration;
}
