import { checkName } from "../known-name.ts";
import { copy } from "./copy.ts";
import type { Experiment } from "./experiment.ts";
import { image, listops, pathfinder, retrieval, text } from "./long-range-arena.ts";
import { associativeRecall, digits, switchBoard } from "./small.ts";

/** Every experiment: those of the paper, and small ones. */
export const experiments: readonly Experiment[] = [
  ...[listops, text, retrieval, image, pathfinder, copy],
  ...[digits, switchBoard, associativeRecall],
];

/**
 * The experiment of a task.
 *
 * @throws TypeError with the nearest name when there is none
 */
export function experimentOf(task: string): Experiment {
  const names = experiments.map((each) => each.task);
  return experiments[names.indexOf(checkName("experiment", "task", task, names))];
}
