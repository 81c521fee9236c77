import type { TaskOptions } from "../experiments/experiment.ts";
import { writeWhole } from "../files/write-whole.ts";
import { inspectTask } from "../tasks/inspect-task.ts";
import { taskOptions } from "../tasks/open-task.ts";
import type { Split } from "../tasks/task.ts";
import { openNamed } from "./open-named.ts";

export interface InspectFlags {
  readonly data?: string;
  readonly set?: TaskOptions;
  readonly split: Split;
  readonly examples: number;
  readonly picture?: string;
}

/** The command `data`: what a task is made of. */
export async function inspect(name: string, flags: InspectFlags): Promise<void> {
  const { data, set, split, examples: shown, picture: file } = flags;
  const task = await openNamed(name, { data, options: set });
  const { counts, sampled, lengths, classes, examples, picture } = inspectTask(task, { split, shown });
  if (file !== undefined && picture === undefined) {
    throw new TypeError(`data: expected a task of images for --picture, got ${task.name}`);
  }
  const { kind, vocabulary, length } = task;
  const twice = kind === "classify-pairs" ? " twice" : "";
  console.log(`${task.name}: ${kind}, ${vocabulary} ids, ${length} tokens${twice}, ${task.classes} classes`);
  for (const [each, count] of Object.entries(counts)) {
    console.log(`  ${each.padEnd(10)} ${Number.isFinite(count) ? count.toLocaleString("en") : "without end"}`);
  }
  console.log(
    `  options    ${taskOptions(name, data !== undefined)
      .filter(isSetting)
      .join(", ")}`,
  );
  const { min, median, max } = lengths;
  console.log(`  tokens of ${sampled} ${split} examples: ${min} to ${max}, median ${median}`);
  if (classes.length <= mostClasses) console.log(`  of each class: ${classes.join(" ")}`);
  for (const example of examples) console.log(`\n${shortened(example)}`);
  if (file === undefined || picture === undefined) return;
  writeWhole(file, [picture]);
  console.log(`\n${file} has images`);
}

/** The counts of more classes, as of words, say nothing. */
const mostClasses = 100;

/** Whether an option is given by --set: those of places are given by --data. */
function isSetting(option: string): boolean {
  return !["dir", "file", "onProgress"].includes(option);
}

/** A long line without its middle; a picture, which has lines, whole. */
function shortened(example: string): string {
  const [begin, end] = [400, 80];
  if (example.length <= begin + end || example.includes("\n")) return example;
  return `${example.slice(0, begin)} … ${example.slice(-end)}`;
}
