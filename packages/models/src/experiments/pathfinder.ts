import type { Experiment } from "./experiment.ts";
import { longRangeArena } from "./long-range-arena.ts";

/** Whether a dashed path joins two discs. Quick: images of 16 × 16 with short paths, 600 steps of 32. */
export const pathfinderExperiment: Experiment = longRangeArena({
  task: "pathfinder",
  steps: 62_400,
  batchSize: 256,
  warmUp: 312,
  every: 312,
  batches: 312,
  quick: {
    options: { side: 16, contourLength: 5, distractorLength: 2, distractors: 1 },
    model: { length: 256 },
    steps: 600,
    batchSize: 32,
    evaluation: { every: 100, batches: 20, tests: 60, batchSize: 32, by: "accuracy" },
  },
});
