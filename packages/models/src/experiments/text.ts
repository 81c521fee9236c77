import type { Experiment } from "./experiment.ts";
import { longRangeArena } from "./long-range-arena.ts";

/** Bytes of film reviews. Quick: the first 256. */
export const textExperiment: Experiment = longRangeArena({
  task: "text",
  steps: 20_000,
  batchSize: 32,
  warmUp: 8000,
  every: 500,
  batches: 781,
  quick: {
    options: { maxLength: 256 },
    model: { length: 256 },
    steps: 600,
    evaluation: { every: 100, batches: 20, tests: 60, batchSize: 32, by: "accuracy" },
  },
});
