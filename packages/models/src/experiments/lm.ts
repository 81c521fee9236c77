import { preset } from "../presets.ts";
import type { Experiment } from "./experiment.ts";
import { paperAttentions, paperModel } from "./paper-model.ts";

/** Words of WikiText-103, as many as the files have. Quick: 4 blocks, 300 steps of 8 segments. */
export const lmExperiment: Experiment = {
  task: "lm",
  options: {},
  model: { ...withoutWords(paperModel(preset("lm/softmax"))) },
  attentions: paperAttentions("lm"),
  short: { band: "band20", fmm: "fmm-2-kernel-band20", "fmm-fast-weight": "fmm-2-kernel-fast-weight-band20" },
  fields: { bandwidth: 20, normalizer: "lm" },
  optimizer: {
    rule: "adamw",
    clip: { each: "together", limit: 0.25 },
    schedule: { kind: "cosine", peak: 2.5e-4, warmUp: 2000 },
  },
  steps: 500_000,
  batchSize: 96,
  evaluation: { every: 4000, batches: 100, batchSize: 24 },
  quick: {
    model: { ...withoutWords(paperModel(preset("lm/softmax"))), layers: 4, hidden: 512 },
    steps: 300,
    peak: 1e-3,
    batchSize: 8,
    evaluation: { every: 100, batches: 10, tests: 20, batchSize: 8 },
  },
};

/** How many words there are is for the files to say. */
function withoutWords({ vocabulary: _, classes: __, ...model }: Experiment["model"]): Experiment["model"] {
  return model;
}
