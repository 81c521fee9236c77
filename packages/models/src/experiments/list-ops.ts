import type { Experiment } from "./experiment.ts";
import { longRangeArena } from "./long-range-arena.ts";

/** Nested lists. Quick: of up to 128 tokens, instead of 2,000. */
export const listOpsExperiment: Experiment = longRangeArena({
  task: "listops",
  steps: 5000,
  batchSize: 32,
  warmUp: 1000,
  every: 50,
  batches: 62,
  quick: {
    options: { size: "medium" },
    model: { length: 128 },
    steps: 1500,
    evaluation: { every: 250, batches: 16, batchSize: 32, by: "accuracy" },
  },
});
