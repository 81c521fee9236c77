import type { Experiment } from "./experiment.ts";
import { smallExperiment } from "./small.ts";

/** Pairs of keys and values to be remembered: what the delta rule is for. */
export const associativeRecallExperiment: Experiment = smallExperiment({
  task: "associative-recall",
  options: {},
  model: { width: 32, hidden: 64, layers: 3, positions: "none", causal: true },
  fields: { bandwidth: 3, relativeBias: true },
  peak: 1e-2,
  steps: 1000,
  batchSize: 32,
  evaluation: { every: 100, batches: 5, tests: 10, batchSize: 100 },
  quick: { steps: 500 },
});
