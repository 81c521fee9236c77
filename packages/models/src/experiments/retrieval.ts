import type { Experiment } from "./experiment.ts";
import { longRangeArena } from "./long-range-arena.ts";

/** Whether one paper cites the other, from their bytes. Quick: the first 512 of each, 8 pairs a step. */
export const retrievalExperiment: Experiment = longRangeArena({
  task: "retrieval",
  steps: 30_000,
  batchSize: 32,
  warmUp: 800,
  every: 300,
  batches: 565,
  quick: {
    options: { maxLength: 512 },
    model: { length: 512 },
    steps: 400,
    batchSize: 8,
    evaluation: { every: 100, batches: 25, tests: 50, batchSize: 8, by: "accuracy" },
  },
});
