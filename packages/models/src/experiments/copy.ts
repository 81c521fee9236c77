import { preset } from "../presets.ts";
import type { Experiment } from "./experiment.ts";
import { paperAttentions, paperModel } from "./paper-model.ts";

/**
 * Say a word twice: 100 epochs of 100 updates, the rate a tenth from the 3,000th on. Quick: words of up to 15 symbols, a model of width 64.
 */
export const copyExperiment: Experiment = {
  task: "copy",
  options: {},
  model: paperModel(preset("copy/softmax")),
  attentions: paperAttentions("copy"),
  short: { band: "band20", fmm: "fmm-3-kernel-band20" },
  fields: { bandwidth: 20, dropout: 0.1, normalizer: "copy" },
  optimizer: {
    rule: "radam",
    weightDecay: 0.01,
    clip: { each: "tensor", limit: 1 },
    schedule: { kind: "stairs", peak: 1e-3, factor: 0.1, at: [3000] },
  },
  steps: 10_000,
  batchSize: 64,
  evaluation: { every: 100, batches: 20, tests: 100, batchSize: 64 },
  quick: {
    options: { length: 32 },
    model: { length: 32, width: 64, hidden: 256, layers: 2, heads: 4 },
    steps: 600,
    batchSize: 32,
    evaluation: { every: 100, batches: 10, tests: 30, batchSize: 32 },
  },
};
