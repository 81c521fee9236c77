import type { Experiment } from "./experiment.ts";
import { smallExperiment } from "./small.ts";

/** Handwritten digits of 14 × 14 pixels. Quick: 7 × 7. */
export const digitsExperiment: Experiment = smallExperiment({
  task: "digits",
  options: { side: 14 },
  model: { width: 24, hidden: 48, layers: 2 },
  fields: { bandwidth: 16 },
  peak: 2e-3,
  steps: 1200,
  batchSize: 32,
  evaluation: { every: 100, batches: 10, batchSize: 100 },
  quick: { options: { side: 7 }, steps: 600 },
});
