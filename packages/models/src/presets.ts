import type { AttentionOptions } from "./attention/kinds.ts";
import { type OfficialConfig, officialAttention } from "./attention/official.ts";
import type { FmmformerOptions } from "./fmmformer.ts";
import { checkName } from "./known-name.ts";

/** The models of the paper's experiments, as data. */
export interface Preset {
  /** `<task>/<attention>[-<r>-kernel][-fast-weight][-band<k>]` */
  readonly name: string;
  readonly task: PresetTask;
  readonly model: FmmformerOptions & { readonly attention: AttentionOptions };
}

/** What the paper trains on: Long Range Arena, words of WikiText-103, and copying. */
export type PresetTask = "listops" | "text" | "retrieval" | "image" | "pathfinder" | "lm" | "copy";

type Model = Omit<FmmformerOptions, "attention">;
type Rows = { readonly [name: string]: AttentionOptions };

/** The released attention of a row of the paper's tables, with the dropout of its near field. */
function released(config: OfficialConfig, dropout: number): AttentionOptions {
  return { ...officialAttention(config).attention, dropout };
}

// Long Range Arena: one model for the five tasks, whose blends differ.

const lraModel = {
  width: 64,
  layers: 2,
  heads: 2,
  hidden: 128,
  positions: "learned",
  activation: "gelu",
  order: "pre",
  dropout: 0.1,
  pooling: "padded-mean",
} as const;

interface LraTask {
  readonly model: Pick<Model, "kind" | "vocabulary" | "length" | "classes">;
  /** The types of blend of one and two kernels */
  readonly blends: readonly [one: number, two: number];
}

const lraTasks: Readonly<Record<Exclude<PresetTask, "lm" | "copy">, LraTask>> = {
  listops: { model: { vocabulary: 32, length: 2048, classes: 10 }, blends: [11.5, 13.5] },
  // 1,000 bytes are read, but the table of positions is that of 4,000.
  text: { model: { vocabulary: 512, length: 4096, classes: 2 }, blends: [4.5, 4.5] },
  retrieval: { model: { kind: "classify-pairs", vocabulary: 512, length: 4096, classes: 2 }, blends: [18.5, 19.5] },
  image: { model: { vocabulary: 512, length: 1024, classes: 10 }, blends: [4.5, 17.5] },
  pathfinder: { model: { vocabulary: 512, length: 1024, classes: 2 }, blends: [2.5, 15.5] },
};

function lraRows([one, two]: LraTask["blends"]): Rows {
  const fmm = (sparseRatio: number, kernels: readonly string[]): AttentionOptions =>
    released({ code: "LRA SparseLowrankAttention", sparseRatio, kernels, bandwidth: 5 }, 0.1);
  return {
    softmax: { kind: "softmax", dropout: 0.1 },
    linear: { kind: "linear", kernels: ["elu"], normalizer: "lra" },
    band5: { kind: "band", bandwidth: 5, dropout: 0.1 },
    "fmm-1-kernel-band5": fmm(one, ["elu"]),
    "fmm-2-kernel-band5": fmm(two, ["elu", "elu_flip"]),
  };
}

// Language modelling on WikiText-103: words, the most frequent first, as an adaptive softmax wants them.

const lmModel: Model = {
  kind: "label-tokens",
  causal: true,
  vocabulary: 267_735,
  length: 256,
  classes: 267_735,
  width: 128,
  layers: 16,
  heads: 8,
  hidden: 2048,
  positions: "reversed",
  scale: Math.sqrt(128),
  activation: "relu",
  order: "post",
  finalNorm: false,
  bias: false,
  tied: true,
  cutoffs: [20_000, 40_000, 200_000],
  init: "normal",
  dropout: 0.1,
  finalDropout: 0.1,
};

function lmRows(): Rows {
  const fmm = (bandwidth: number, kernels: readonly string[]): AttentionOptions =>
    released({ code: "MultiHeadAttnSparseLowrank", sparseRatio: 2.5, kernels, bandwidth }, 0);
  const fastWeight = (sparseRatio: number, kernels: readonly string[]): AttentionOptions =>
    released({ code: "MultiHeadAttnSparseFastWeight", sparseRatio, kernels, bandwidth: 20 }, 0);
  return {
    softmax: { kind: "softmax" },
    linear: { kind: "linear", kernels: ["elu"], normalizer: "lm" },
    "fast-weight": { kind: "fast-weight", kernels: ["elu"], normalizer: "lm" },
    band5: { kind: "band", bandwidth: 5 },
    band20: { kind: "band", bandwidth: 20 },
    "fmm-1-kernel-band5": fmm(5, ["elu"]),
    "fmm-1-kernel-band20": fmm(20, ["elu"]),
    "fmm-2-kernel-band20": fmm(20, ["elu", "elu_flip"]),
    "fmm-1-kernel-fast-weight-band20": fastWeight(6.5, ["elu"]),
    "fmm-2-kernel-fast-weight-band20": fastWeight(7.5, ["elu", "elu"]),
  };
}

// The copy task, in which three kernels meet.

const copyModel: Model = {
  kind: "label-tokens",
  causal: true,
  vocabulary: 11,
  length: 128,
  classes: 11,
  width: 256,
  layers: 4,
  heads: 8,
  hidden: 1024,
  positions: "beside",
  std: 1, // PyTorch's default, which the released code leaves as it is
  activation: "relu",
  order: "post",
  dropout: 0.1,
  embeddingDropout: 0,
};

function copyRows(): Rows {
  const fmm = (kernelCount: number, bandwidth?: number): AttentionOptions =>
    bandwidth === undefined
      ? released({ code: "CausalFMMAttention", kernelCount, sparse: false }, 0)
      : released({ code: "CausalFMMAttention", kernelCount, bandwidth }, 0.1);
  const bands = [10, 20, 30];
  return {
    softmax: { kind: "softmax", dropout: 0.1 },
    linear: { kind: "linear", kernels: ["elu"], normalizer: "paper" },
    ...Object.fromEntries(bands.map((k) => [`band${k}`, fmm(0, k)])),
    ...Object.fromEntries(
      [1, 2, 3].flatMap((r) => [
        [`fmm-${r}-kernel`, fmm(r)],
        ...bands.map((k) => [`fmm-${r}-kernel-band${k}`, fmm(r, k)] as const),
      ]),
    ),
  };
}

function presetsOf(task: PresetTask, model: Model, rows: Rows): Preset[] {
  return Object.entries(rows).map(([row, attention]) => ({
    name: `${task}/${row}`,
    task,
    model: { ...model, attention },
  }));
}

/** Every row of the paper's experiments. */
export const presets: readonly Preset[] = [
  ...Object.entries(lraTasks).flatMap(([task, { model, blends }]) =>
    presetsOf(task as PresetTask, { ...lraModel, ...model }, lraRows(blends)),
  ),
  ...presetsOf("lm", lmModel, lmRows()),
  ...presetsOf("copy", copyModel, copyRows()),
];

/**
 * A model of the paper by name, as in `listops/fmm-2-kernel-band5`: what `fmmformer` takes.
 *
 * @throws TypeError with the nearest name when there is none
 */
export function preset(name: string): Preset["model"] {
  const names = presets.map((each) => each.name);
  return presets[names.indexOf(checkName("preset", "name", name, names))].model;
}
