import type { Experiment } from "./experiment.ts";
import { smallExperiment } from "./small.ts";

/** A vote, then symbols: what provably needs both fields. */
export const switchBoardExperiment: Experiment = smallExperiment({
  task: "switch-board",
  options: {},
  model: { width: 24, hidden: 48, layers: 2, positions: "none" },
  fields: { bandwidth: 3, relativeBias: true },
  peak: 1e-2,
  steps: 240,
  batchSize: 32,
  evaluation: { every: 40, batches: 5, tests: 10, batchSize: 100 },
  quick: { steps: 120 },
});
