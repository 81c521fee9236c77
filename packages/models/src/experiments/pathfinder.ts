import type { Experiment } from "./experiment.ts";
import { longRangeArena } from "./long-range-arena.ts";

/**
 * Whether a dashed path joins two discs. Quick: images of 12 × 12, which hold two paths of three dashes, 1,500 steps
 * of 64 at a lower rate than other quick runs: at 1e-3 nothing is learned for a thousand steps.
 */
export const pathfinderExperiment: Experiment = longRangeArena({
  task: "pathfinder",
  steps: 62_400,
  batchSize: 256,
  warmUp: 312,
  every: 312,
  batches: 312,
  quick: {
    options: { side: 12, contourLength: 3, distractorLength: 1, distractors: 0 },
    model: { length: 144 },
    peak: 3e-4,
    steps: 1500,
    batchSize: 64,
    evaluation: { every: 150, batches: 20, tests: 60, batchSize: 32, by: "accuracy" },
  },
});
