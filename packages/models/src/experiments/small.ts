import type { AttentionOptions } from "../attention/kinds.ts";
import type { Experiment, Scale } from "./experiment.ts";

// Tasks of our own that show what either field is for.

/** Attention of each kind with the same fields. */
function kindsOf(fields: Omit<AttentionOptions, "kind">): Experiment["attentions"] {
  const kinds = ["fmm", "band", "linear", "softmax", "fmm-fast-weight", "fast-weight"] as const;
  return Object.fromEntries(kinds.map((kind) => [kind, { ...fields, kind }]));
}

const cosine = (peak: number): Scale["optimizer"] => ({ kind: "cosine", peak, warmUp: 50, clip: 1, beta2: 0.98 });

const board: Scale = {
  task: {},
  model: { width: 24, hidden: 48, layers: 2, positions: "none" },
  steps: 120,
  batchSize: 32,
  optimizer: cosine(1e-2),
  evaluation: { every: 40, batchSize: 100, batches: 2, tests: 5 },
};

export const switchBoard: Experiment = {
  task: "switch-board",
  attentions: kindsOf({ bandwidth: 3, relativeBias: true }),
  attention: "fmm",
  full: board,
  quick: { ...board, steps: 60 },
};

const recall: Scale = {
  task: {},
  model: { width: 32, hidden: 64, layers: 2, positions: "none" },
  steps: 400,
  batchSize: 32,
  optimizer: cosine(5e-3),
  evaluation: { every: 100, batchSize: 100, batches: 2, tests: 5 },
};

export const associativeRecall: Experiment = {
  task: "associative-recall",
  attentions: kindsOf({ bandwidth: 3, relativeBias: true }),
  attention: "fmm-fast-weight",
  full: recall,
  quick: { ...recall, steps: 100 },
};

const images: Scale = {
  task: { side: 14 },
  model: { width: 24, hidden: 48, layers: 2 },
  steps: 1200,
  batchSize: 32,
  optimizer: cosine(5e-3),
  evaluation: { every: 200, batchSize: 100, batches: 5, tests: 20, by: "accuracy" },
};

export const digits: Experiment = {
  task: "digits",
  attentions: kindsOf({ bandwidth: 16 }),
  attention: "fmm",
  full: images,
  quick: { ...images, task: { side: 7 }, steps: 200 },
  pretraining: { share: 0.5, loss: "l1" },
};
