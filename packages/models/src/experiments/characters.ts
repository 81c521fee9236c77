import type { Experiment } from "./experiment.ts";
import { smallExperiment } from "./small.ts";

/** The next character of a text of one's own. Quick: a smaller model. */
export const charactersExperiment: Experiment = smallExperiment({
  task: "characters",
  options: {},
  model: { width: 128, hidden: 512, layers: 4, heads: 4, causal: true, positions: "learned", dropout: 0.1 },
  fields: { bandwidth: 16 },
  peak: 2e-3,
  steps: 5000,
  batchSize: 32,
  evaluation: { every: 250, batches: 20, batchSize: 32 },
  quick: {
    model: { width: 64, hidden: 128, layers: 2, heads: 4, causal: true, positions: "learned", dropout: 0.1 },
    steps: 500,
    evaluation: { every: 100, batches: 10, tests: 40, batchSize: 32 },
  },
});
