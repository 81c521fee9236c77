import { join } from "node:path";
import { random } from "@fmmformer/autodiff";
import { type Choices, type Planned, planOf } from "../experiments/plan.ts";
import { fillNamedTensors } from "../files/named-tensors.ts";
import { openCheckpoint } from "../training/checkpoint.ts";
import { RunError } from "../training/run-error.ts";
import { readConfiguration, runFiles } from "../training/run-folder.ts";
import { showReading } from "./train.ts";

/**
 * A run of the command line as it was planned, with its best parameters.
 *
 * @throws RunError when the folder has no such run
 */
export async function openRun(out: string): Promise<Planned & { readonly params: unknown; readonly step: number }> {
  const configuration = readConfiguration(out) as { readonly choices?: Choices } | null;
  if (!configuration?.choices) throw new RunError(`run: expected a folder of fmmformer train, got ${out}`);
  const { choices } = configuration;
  const planned = await planOf(choices, { onProgress: showReading(choices.task) });
  const { tensors, facts } = openCheckpoint(join(out, runFiles.best));
  const [key] = random.split(random.key(planned.plan.seed));
  const { tree, missing } = fillNamedTensors(planned.model.init(key), tensors, "params");
  if (missing.length > 0) throw new RunError(`run: expected all parameters in ${out}, got none for ${missing[0]}`);
  return { ...planned, params: tree, step: facts.step };
}
