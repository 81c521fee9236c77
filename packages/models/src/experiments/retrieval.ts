import type { Experiment } from "./experiment.ts";
import { longRangeArena } from "./long-range-arena.ts";

/** Whether one paper cites the other, from their bytes. Quick: 200 steps of 4 pairs. */
export const retrievalExperiment: Experiment = longRangeArena({
  task: "retrieval",
  steps: 30_000,
  batchSize: 32,
  warmUp: 800,
  every: 300,
  batches: 565,
  quick: { steps: 200, batchSize: 4, evaluation: { every: 100, batches: 25, tests: 50, batchSize: 4, by: "accuracy" } },
});
