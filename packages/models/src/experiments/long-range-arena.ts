import { type Preset, presets } from "../presets.ts";
import type { Experiment, Scale } from "./experiment.ts";

// Long Range Arena with the hyper-parameters of the authors' code, which are those of Nyströmformer's. Warm-ups in steps.

/** The rows of a task's presets: attention, and the model that all of them share. */
export function rowsOf(task: string): Pick<Experiment, "attentions"> & { readonly model: Scale["model"] } {
  const own = presets.filter((preset: Preset) => preset.task === task);
  const attentions = Object.fromEntries(own.map(({ name, model }) => [name.slice(task.length + 1), model.attention]));
  const {
    vocabulary: _,
    length: __,
    classes: ___,
    kind: ____,
    causal: _____,
    attention: ______,
    ...model
  } = own[0].model;
  return { attentions, model };
}

interface Row {
  readonly task: string;
  readonly steps: number;
  readonly batchSize: number;
  readonly warmUp: number;
  readonly evaluation: Scale["evaluation"];
  readonly quick: Pick<Scale, "task" | "steps" | "batchSize"> & { readonly peak: number };
  readonly reported: readonly [softmax: number, linear: number, band: number, one: number, two: number];
  readonly pretraining: NonNullable<Experiment["pretraining"]>;
}

function longRangeArena({ task, steps, batchSize, warmUp, evaluation, quick, reported, pretraining }: Row): Experiment {
  const { attentions, model } = rowsOf(task);
  const names = ["softmax", "linear", "band5", "fmm-1-kernel-band5", "fmm-2-kernel-band5"];
  const { peak, ...shorter } = quick;
  const every = Math.ceil(quick.steps / 5);
  return {
    task,
    attentions,
    attention: "fmm-2-kernel-band5",
    full: {
      ...{ task: {}, model, steps, batchSize, evaluation },
      optimizer: { kind: "one-cycle", peak: 1e-4, warmUp, eps: 1e-6 },
    },
    quick: {
      ...{ model, ...shorter },
      optimizer: { kind: "one-cycle", peak, warmUp: Math.ceil(quick.steps / 10), eps: 1e-6 },
      evaluation: { every, batchSize: quick.batchSize, batches: 10, tests: 20, by: "accuracy" },
    },
    reported: Object.fromEntries(names.map((name, i) => [name, reported[i]])),
    pretraining,
  };
}

const by = "accuracy" as const;

export const listops: Experiment = longRangeArena({
  ...{ task: "listops", steps: 5_000, batchSize: 32, warmUp: 1_000 },
  evaluation: { every: 250, batchSize: 32, batches: 62, by },
  quick: { task: { minLength: 32, maxLength: 257 }, steps: 300, batchSize: 16, peak: 1e-3 },
  reported: [37.1, 18.3, 32.16, 33.22, 36.74],
  pretraining: { share: 0.1, loss: "cross-entropy" },
});

export const text: Experiment = longRangeArena({
  ...{ task: "text", steps: 20_000, batchSize: 32, warmUp: 8_000 },
  evaluation: { every: 1_000, batchSize: 32, batches: 100, by },
  quick: { task: {}, steps: 200, batchSize: 16, peak: 1e-3 },
  reported: [64.17, 64.22, 66.31, 66.52, 67.84],
  pretraining: { share: 0.15, loss: "cross-entropy" },
});

export const retrieval: Experiment = longRangeArena({
  ...{ task: "retrieval", steps: 30_000, batchSize: 32, warmUp: 800 },
  evaluation: { every: 1_500, batchSize: 32, batches: 100, by },
  quick: { task: {}, steps: 60, batchSize: 4, peak: 1e-3 },
  reported: [80.71, 81.37, 79.41, 81.5, 81.88],
  pretraining: { share: 0.15, loss: "cross-entropy" },
});

export const image: Experiment = longRangeArena({
  ...{ task: "image", steps: 35_000, batchSize: 256, warmUp: 175 },
  evaluation: { every: 1_750, batchSize: 250, batches: 20, by },
  quick: { task: {}, steps: 200, batchSize: 16, peak: 1e-3 },
  reported: [39.06, 38.29, 43.33, 45.01, 45.1],
  pretraining: { share: 0.5, loss: "l1" },
});

export const pathfinder: Experiment = longRangeArena({
  ...{ task: "pathfinder", steps: 62_400, batchSize: 256, warmUp: 312 },
  evaluation: { every: 3_120, batchSize: 250, batches: 80, by },
  quick: {
    task: { side: 16, contourLength: 5, distractorLength: 2, distractors: 2 },
    steps: 300,
    batchSize: 32,
    peak: 1e-3,
  },
  reported: [72.48, 71.17, 67.44, 71.29, 72.12],
  pretraining: { share: 0.5, loss: "l1" },
});
