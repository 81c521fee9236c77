import { checkName } from "../known-name.ts";
import { taskNamed } from "../tasks/open-task.ts";
import { associativeRecallExperiment } from "./associative-recall.ts";
import { charactersExperiment } from "./characters.ts";
import { copyExperiment } from "./copy.ts";
import { digitsExperiment } from "./digits.ts";
import type { Experiment } from "./experiment.ts";
import { imageExperiment } from "./image.ts";
import { listOpsExperiment } from "./list-ops.ts";
import { lmExperiment } from "./lm.ts";
import { pathfinderExperiment } from "./pathfinder.ts";
import { retrievalExperiment } from "./retrieval.ts";
import { switchBoardExperiment } from "./switch-board.ts";
import { textExperiment } from "./text.ts";

/** Every experiment: those of the paper, and small ones. */
export const experiments: readonly Experiment[] = [
  listOpsExperiment,
  textExperiment,
  retrievalExperiment,
  imageExperiment,
  pathfinderExperiment,
  copyExperiment,
  lmExperiment,
  digitsExperiment,
  switchBoardExperiment,
  associativeRecallExperiment,
  charactersExperiment,
];

/**
 * The experiment on a task. That on words is "lm", as in the names of presets, and "words".
 *
 * @throws TypeError with the nearest name when there is none
 */
export function experiment(task: string): Experiment {
  const known = new Map(experiments.flatMap((each) => [each.task, taskNamed(each.task)].map((name) => [name, each])));
  return known.get(checkName("experiment", "task", task, [...known.keys()])) as Experiment;
}
