import { Command, Option } from "commander";
import { taskNames } from "../tasks/open-task.ts";
import { type CompareFlags, compare } from "./compare.ts";
import { inspect } from "./data.ts";
import { defaultThreads } from "./default-threads.ts";
import { evaluateRun } from "./evaluate.ts";
import { curves, efficiency, rank } from "./figure.ts";
import { count, list, nonNegative, numbers, positive, settings, whole } from "./flag-values.ts";
import { generateText } from "./generate.ts";
import { listModels } from "./models.ts";
import { type ProfileFlags, profileTask } from "./profile.ts";
import { trainRun } from "./train.ts";
import { type TrainFlags, withModel, withRuns, withTraining } from "./train-flags.ts";

/** The command `fmmformer`. */
export function program(): Command {
  const command = new Command("fmmformer")
    .description("FMMformers: train, compare and look at near-field and far-field attention")
    .option("--debug", "show where an error comes from")
    .showSuggestionAfterError();
  const tasks = taskNames.join(", ");
  const until = ["--until <step>", "stop behind this step, with a checkpoint for --resume", count] as const;

  withTraining(command.command("train").description(`train on a task (${tasks})`).argument("<task>"))
    .option(...until)
    .option("--from <run>", "begin with the parameters of another run, or of a checkpoint, as far as they fit")
    .addHelpText(
      "after",
      "\nA run leaves a folder: metrics.jsonl, the same for TensorBoard, checkpoint, best parameters, report.html, result.json.",
    )
    .action((task: string, flags: TrainFlags) => trainRun(task, flags));
  withTraining(
    command.command("pretrain").description("train on a task's own inputs, some of them hidden").argument("<task>"),
  )
    .option(...until)
    .action((task: string, flags: TrainFlags) => trainRun(task, { ...flags, pretraining: true }));
  withRuns(command.command("compare").description("train several attentions over several seeds").argument("<task>"))
    .option("--attentions <names>", "separated by commas; all of the experiment unless told", list)
    .option("--seeds <numbers>", "for parameters and dropout, separated by commas", numbers, [0])
    .option("--json", "as JSON")
    .addHelpText(
      "after",
      "\nFinished runs are not run again, and one that was stopped goes on. An order is claimed of three seeds or more.",
    )
    .action((task: string, flags: CompareFlags) => compare(task, flags));
  withModel(
    command.command("profile").description("show where the time of a training step on a task goes").argument("<task>"),
  )
    .option("--runs <n>", "steps to time", count, 5)
    .option("--json", "as JSON")
    .addHelpText("after", "\nGB/s are of what kernels read and write, whether or not it comes from a cache.")
    .action((task: string, flags: ProfileFlags) => profileTask(task, flags));
  command
    .command("evaluate")
    .description("measure the best parameters of a run on its test split")
    .argument("<run>", "the folder of a run")
    .addOption(new Option("--split <name>", "which examples").choices(["validation", "test"]).default("test"))
    .option("--batches <n>", "at most so many batches; as the run had it unless told", count)
    .option(
      "--window <n>",
      "words and characters: tokens that a sliding window reads; those of an example unless told",
      count,
    )
    .option(
      "--stride <n>",
      "how far it slides; 1 unless told, as in the paper, more is quicker and a little worse",
      count,
    )
    .option("--data <dir>", "where the task's files are now")
    .option("--threads <n>", "threads", count, defaultThreads)
    .option("--json", "as JSON")
    .action(evaluateRun);
  command
    .command("generate")
    .description("let the best parameters of a run that names the next token write on")
    .argument("<run>", "the folder of a run, as of lm, characters or copy")
    .option(
      "--prompt <text>",
      "what to begin with, ids where tokens are no text; the first of the test split unless told",
    )
    .option("--length <n>", "tokens to write", count, 200)
    .option("--temperature <x>", "below 1 for what is likely, above for variety, 0 for the likeliest", nonNegative, 1)
    .addOption(new Option("--seed <n>", "the same seed writes the same").argParser(whole).default(0))
    .option("--data <dir>", "where the task's files are now")
    .option("--threads <n>", "threads", count, 1)
    .action(generateText);
  command
    .command("models")
    .description("list every preset: task, attention, parameters")
    .option("--json", "as JSON")
    .action(listModels);
  command
    .command("data")
    .description("look at a task: counts, lengths, labels, a few examples")
    .argument("<task>")
    .option("--data <dir>", "the folder of the task's files, or a file of text")
    .option("--set <options>", "options of the task, as in side=14,seed=1", settings)
    .addOption(new Option("--split <name>", "which examples").choices(["train", "validation", "test"]).default("train"))
    .option("--examples <n>", "how many to show", count, 3)
    .option("--picture <file>", "write images as a PNG")
    .action(inspect);
  const figure = command.command("figure").description("draw a figure: two of the paper, and learning curves");
  figure
    .command("efficiency")
    .description("time and memory of one layer against the length of its sequence")
    .option("--lengths <numbers>", "separated by commas", numbers)
    .option("--seconds <n>", "the longest that one length may take", positive, 20)
    .option("--threads <n>", "threads", count, 1)
    .option("--out <dir>", "where to write", "figures")
    .action(efficiency);
  figure
    .command("rank")
    .description("singular values of the attention maps of a softmax run, whole and without bands")
    .argument("<run>", "the folder of a run whose attention is softmax")
    .option("--examples <n>", "sequences whose maps are taken", count, 8)
    .option("--bandwidths <numbers>", "bands to take away, separated by commas", numbers, [5, 10, 20])
    .option("--data <dir>", "where the task's files are now")
    .option("--out <dir>", "where to write", "figures")
    .action(rank);
  figure
    .command("curves")
    .description("loss and accuracy against steps, several runs in one figure; runs of one model become their mean")
    .argument("<runs...>", "folders of runs, finished or not")
    .option("--names <names>", "what to call each run, separated by commas; by its attention unless told", list)
    .option("--out <dir>", "where to write", "figures")
    .action(curves);
  // Errors are said in one line, all in one place.
  for (const each of [command, ...command.commands, ...figure.commands]) {
    each.exitOverride().configureOutput({ outputError: () => {} });
    if (each !== command) each.option("--debug", "show where an error comes from");
  }
  return command;
}
