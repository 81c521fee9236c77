import { Command, InvalidArgumentError, Option } from "commander";
import { taskNames } from "../tasks/open-task.ts";
import { compare } from "./compare.ts";
import { inspect } from "./data.ts";
import { evaluateRun } from "./evaluate.ts";
import { efficiency, rank } from "./figure.ts";
import { listModels } from "./models.ts";
import { trainRun } from "./train.ts";

/** What `train` and its sisters take besides the task. */
export interface TrainFlags {
  readonly attention?: string;
  readonly preset?: string;
  readonly quick?: boolean;
  readonly data?: string;
  readonly set?: { readonly [name: string]: number };
  readonly bandwidth?: number;
  readonly kernels?: readonly string[];
  readonly width?: number;
  readonly layers?: number;
  readonly heads?: number;
  readonly hidden?: number;
  readonly steps?: number;
  readonly batch?: number;
  readonly learningRate?: number;
  readonly seed: number;
  readonly pretraining?: boolean;
  readonly threads: number;
  readonly out?: string;
  readonly resume?: boolean;
  readonly force?: boolean;
  readonly from?: string;
}

/** The command `fmmformer`. */
export function program(): Command {
  const command = new Command("fmmformer")
    .description("FMMformers: train, compare and look at near-field and far-field attention")
    .option("--debug", "show where an error comes from")
    .showSuggestionAfterError()
    .exitOverride();
  const tasks = taskNames.join(", ");

  withTraining(command.command("train").description(`train on a task (${tasks})`).argument("<task>"))
    .option("--from <checkpoint>", "begin with the parameters of another run, as far as they fit")
    .addHelpText(
      "after",
      "\nA run leaves a folder: metrics.jsonl, checkpoint, best parameters, report.html, result.json.",
    )
    .action((task: string, flags: TrainFlags) => trainRun(task, flags));
  withTraining(
    command.command("pretrain").description("train on a task's own inputs, some of them hidden").argument("<task>"),
  ).action((task: string, flags: TrainFlags) => trainRun(task, { ...flags, pretraining: true }));
  withTraining(command.command("compare").description("train several attentions over several seeds").argument("<task>"))
    .requiredOption("--attentions <names>", "separated by commas", list)
    .option("--seeds <numbers>", "separated by commas", numbers, [0])
    .action((task: string, flags: TrainFlags & { attentions: string[]; seeds: number[] }) => compare(task, flags));
  command
    .command("evaluate")
    .description("measure the best parameters of a run on its test split")
    .argument("<run>", "the folder of a run")
    .option("--batches <n>", "at most so many batches", count)
    .option("--threads <n>", "threads", count, 1)
    .action(evaluateRun);
  command
    .command("models")
    .description("list every preset: task, attention, parameters")
    .option("--json", "as JSON")
    .action(listModels);
  command
    .command("data")
    .description("look at a task: counts, lengths, labels, a few examples")
    .argument("<task>")
    .option("--data <dir>", "the folder of the task's files")
    .option("--set <options>", "options of the task, as in side=14,seed=1", settings)
    .option("--examples <n>", "how many to show", count, 3)
    .option("--picture <file>", "write images as a PNG")
    .action(inspect);
  const figure = command.command("figure").description("draw a figure of the paper");
  figure
    .command("efficiency")
    .description("time and memory of one layer against the length of its sequence")
    .option("--lengths <numbers>", "separated by commas", numbers)
    .option("--seconds <n>", "the longest that one length may take", Number, 20)
    .option("--threads <n>", "threads", count, 1)
    .option("--out <dir>", "where to write", "figures")
    .action(efficiency);
  figure
    .command("rank")
    .description("singular values of the attention maps of a softmax run, whole and without bands")
    .argument("<run>", "the folder of a run whose attention is softmax")
    .option("--examples <n>", "sequences whose maps are taken", count, 8)
    .option("--out <dir>", "where to write", "figures")
    .action(rank);
  return command;
}

function withTraining(command: Command): Command {
  return command
    .option("--attention <name>", "an attention of the experiment, or a module that exports attention: { init, apply }")
    .option("--preset <name>", "a model of the paper, as in listops/fmm-2-kernel-band5 (see models)")
    .option("--quick", "minutes on two cores, smaller and shorter than the paper")
    .option("--data <dir>", "the folder of the task's files")
    .option("--set <options>", "options of the task, as in length=256", settings)
    .option("--bandwidth <k>", "the near field reaches |i − j| < k", count)
    .option("--kernels <names>", "feature maps, separated by commas", list)
    .option("--width <c>", "width of a token", count)
    .option("--layers <n>", "blocks", count)
    .option("--heads <h>", "heads", count)
    .option("--hidden <n>", "width inside the feed-forward parts", count)
    .option("--steps <n>", "steps", count)
    .option("--batch <n>", "examples in a step", count)
    .option("--learning-rate <rate>", "the largest learning rate", Number)
    .addOption(new Option("--seed <n>", "for parameters, data and dropout").argParser(whole).default(0))
    .option("--threads <n>", "threads; results are the same bits for any number", count, 1)
    .option("--out <dir>", "folder of the run; runs/<task>-<attention>-<seed> unless told")
    .option("--resume", "go on where the run in the folder was stopped")
    .option("--force", "replace the run in the folder");
}

function whole(text: string): number {
  const value = Number(text);
  if (Number.isInteger(value) && value >= 0) return value;
  throw new InvalidArgumentError(`expected a whole number, got ${text}`);
}

function count(text: string): number {
  const value = whole(text);
  if (value >= 1) return value;
  throw new InvalidArgumentError("expected a number from 1 on, got 0");
}

function list(text: string): string[] {
  return text.split(",").filter((part) => part !== "");
}

function numbers(text: string): number[] {
  return list(text).map(whole);
}

function settings(text: string): Record<string, number> {
  return Object.fromEntries(
    list(text).map((setting) => {
      const [name, value] = setting.split("=");
      if (value === undefined || Number.isNaN(Number(value))) {
        throw new InvalidArgumentError(`expected name=number, got ${setting}`);
      }
      return [name, Number(value)];
    }),
  );
}
