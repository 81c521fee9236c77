import type { Experiment } from "./experiment.ts";
import { longRangeArena } from "./long-range-arena.ts";

/** Photographs in grey, pixel by pixel. Quick: 500 steps of 32. */
export const imageExperiment: Experiment = longRangeArena({
  task: "image",
  steps: 35_000,
  batchSize: 256,
  warmUp: 175,
  every: 175,
  batches: 20,
  quick: {
    steps: 500,
    batchSize: 32,
    evaluation: { every: 100, batches: 20, tests: 60, batchSize: 32, by: "accuracy" },
  },
});
