import type { Experiment, Scale } from "./experiment.ts";
import { rowsOf } from "./long-range-arena.ts";

// The copy task as in the authors' code, which is idiap's: RAdam, a norm of 1 for each tensor, a tenth of the learning rate from update 3,000.

const { attentions, model } = rowsOf("copy");
const evaluation: Scale["evaluation"] = { every: 500, batchSize: 64, batches: 20, tests: 20 };

export const copy: Experiment = {
  task: "copy",
  attentions,
  attention: "fmm-3-kernel-band10",
  full: {
    task: { length: 128 },
    model,
    steps: 10_000,
    batchSize: 64,
    optimizer: { kind: "radam-stairs", start: 1e-3, factor: 0.1, at: 3_000, clip: 1 },
    evaluation,
  },
  quick: {
    task: { length: 64 },
    model: { ...model, width: 64, layers: 2, heads: 4, hidden: 128 },
    steps: 600,
    batchSize: 32,
    optimizer: { kind: "radam-stairs", start: 2e-3, factor: 0.1, at: 500, clip: 1 },
    evaluation: { ...evaluation, every: 200, batchSize: 32, batches: 5, tests: 10 },
  },
};
