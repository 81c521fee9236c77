import { type Command, Option } from "commander";
import type { TaskOptions } from "../experiments/experiment.ts";
import { defaultThreads } from "./default-threads.ts";
import { count, list, positive, settings, share, whole } from "./flag-values.ts";

/** What `train` and its sisters take besides the task. */
export interface TrainFlags {
  readonly attention?: string;
  readonly preset?: string;
  readonly quick?: boolean;
  readonly data?: string;
  readonly set?: TaskOptions;
  readonly bandwidth?: number;
  readonly kernels?: readonly string[];
  readonly width?: number;
  readonly layers?: number;
  readonly heads?: number;
  readonly hidden?: number;
  readonly steps?: number;
  readonly batch?: number;
  readonly learningRate?: number;
  readonly dropout?: number;
  readonly causal?: boolean;
  readonly evaluateEvery?: number;
  readonly validations?: number;
  readonly tests?: number;
  readonly seed: number;
  readonly pretraining?: boolean;
  readonly threads: number;
  readonly out?: string;
  readonly until?: number;
  readonly resume?: boolean;
  readonly force?: boolean;
  readonly from?: string;
}

/** Give a command the flags that choose a model, its task and a step. */
export function withModel(command: Command): Command {
  const preset = new Option("--preset <name>", "a model of the paper, as in listops/fmm-2-kernel-band5 (see models)");
  const seed = new Option(
    "--seed <n>",
    "for parameters, dropout and what pretraining hides; the data are the same for all",
  )
    .argParser(whole)
    .default(0);
  const attention = "an attention of the experiment, or a module that exports attention: { init, apply }";
  return withSettings(
    command.option("--attention <name>", attention).addOption(preset.conflicts("attention")).addOption(seed),
  );
}

/** Give a command the flags that choose a training run. */
export function withTraining(command: Command): Command {
  return withSteps(withModel(command));
}

/** Give a command the flags that several training runs have in common. */
export function withRuns(command: Command): Command {
  return withSteps(withSettings(command));
}

function withSettings(command: Command): Command {
  return command
    .option("--quick", "minutes on two cores, smaller and shorter than the paper")
    .option("--data <dir>", "the folder of the task's files, or a file of text")
    .option(
      "--set <options>",
      "options of the task, as in length=256, or seed=1 for other data or another order (see data)",
      settings,
    )
    .option("--bandwidth <k>", "the near field reaches |i − j| < k", count)
    .option("--kernels <names>", "feature maps, separated by commas", list)
    .option("--width <c>", "width of a token", count)
    .option("--layers <n>", "blocks", count)
    .option("--heads <h>", "heads", count)
    .option("--hidden <n>", "width inside the feed-forward parts", count)
    .option("--batch <n>", "examples in a step", count)
    .option("--learning-rate <rate>", "the largest learning rate", positive)
    .option("--dropout <rate>", "dropout behind each part of a block", share)
    .option("--causal", "no token sees those after it, as fast weights need")
    .option("--threads <n>", "threads; results are the same bits for any number", count, defaultThreads);
}

function withSteps(command: Command): Command {
  return command
    .option("--steps <n>", "steps", count)
    .option("--evaluate-every <n>", "steps from one look at the validation split to the next", count)
    .option("--validations <n>", "batches of the validation split that a look takes", count)
    .option("--tests <n>", "at most so many batches of the test split", count)
    .option("--out <dir>", "folder of the run; runs/<task>-<attention>-<seed> unless told")
    .addOption(new Option("--resume", "go on where the run in the folder was stopped").conflicts("force"))
    .option("--force", "replace the run in the folder");
}
