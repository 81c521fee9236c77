import type { Experiment } from "./experiment.ts";
import { smallExperiment } from "./small.ts";

/** Pairs of keys and values to be remembered: what the delta rule is for. Embeddings of variance 1: with 0.02² no kind learns it in time. */
export const associativeRecallExperiment: Experiment = smallExperiment({
  task: "associative-recall",
  options: {},
  model: { width: 32, hidden: 64, layers: 2, positions: "none", causal: true, std: 1 },
  fields: { bandwidth: 4, relativeBias: true },
  peak: 1e-2,
  steps: 400,
  batchSize: 64,
  evaluation: { every: 50, batches: 5, tests: 10, batchSize: 100 },
  quick: { steps: 300 },
});
