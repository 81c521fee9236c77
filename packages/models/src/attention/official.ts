import { checkName } from "../known-name.ts";
import type { Blend, BlendWeight, LearnedWeight } from "./blend.ts";
import type { AttentionOptions, KernelName } from "./kinds.ts";

// The conventions of the code that the authors of the paper released: three code bases, whose switch `sparse_ratio` is a type of blend
// under a number's guise. https://github.com/minhtannguyen/fmmformer-code-submission

/** A module of the released code. */
export type OfficialModule =
  | "LRA SparseLowrankAttention"
  | "LRA ModelForSC"
  | "CausalFMMAttention"
  | "MultiHeadAttnSparseLowrank"
  | "MultiHeadAttnSparseFastWeight";

/** How such a module was configured, in its own words. */
export interface OfficialConfig {
  readonly code: OfficialModule;
  /** Of Long Range Arena and language models: the type of blend, a number whose whole part counts */
  readonly sparseRatio?: number;
  /** Of Long Range Arena and language models, as in ["elu", "elu_flip"] */
  readonly kernels?: readonly string[];
  /** Where there is a near field; 10 unless told */
  readonly bandwidth?: number;
  /** Of the copy task: how many of its three kernels, from 0 */
  readonly kernelCount?: number;
  /** Of the copy task: whether there is a near field */
  readonly sparse?: boolean;
}

/** What the released code calls the learned weights of a blend: the form of `BlendParams`. */
export interface BlendNames {
  readonly near?: string;
  readonly far?: string;
  readonly kernels?: readonly string[];
}

const one: LearnedWeight = { per: "layer", initial: 1 };
const half: LearnedWeight = { per: "layer", initial: 0.5 };
const zero: LearnedWeight = { per: "layer", initial: 0 };
const headZero: LearnedWeight = { per: "head", initial: 0 };
const headOne: LearnedWeight = { per: "head", initial: 1 };
const channelZero: LearnedWeight = { per: "channel", initial: 0 };
const channelOne: LearnedWeight = { per: "channel", initial: 1 };

/** The blends of Long Range Arena by type, from 0. Those of the paper's table are 2, 4, 6, 11, 13, 15, 17, 18 and 19. */
const lraBlends: readonly Blend[] = [
  { near: half, far: 1, kernels: "mean" },
  { near: 1, far: half, kernels: "mean" },
  { near: half, far: "rest", kernels: "mean" },
  { near: channelZero, far: 1, kernels: "mean" },
  { near: 1, far: channelZero, kernels: "mean" },
  { near: channelZero, far: "rest", kernels: "mean" },
  { near: 1, far: 0 },
  { near: 0, far: 1, kernels: "mean" },
  { near: channelZero, far: 1, kernels: [half, half] },
  { near: 1, far: channelZero, kernels: [half, half] },
  { near: headZero, far: headOne, kernels: "mean" },
  { near: headOne, far: headZero, kernels: "mean" },
  { near: 1, far: headZero, kernels: "mean" },
  { near: headOne, far: headZero, kernels: [one, zero] },
  { near: half, far: "rest", kernels: [one, zero] },
  { near: half, far: "rest", kernels: [1, zero] },
  { near: 1, far: channelZero, kernels: [one, zero] },
  { near: 1, far: channelZero, kernels: [1, zero] },
  { near: headZero, far: 1, kernels: "mean" },
  { near: headZero, far: 1, kernels: [one, zero] },
];

/** The blends that both modules of language models have, by type, from 0. Those of the paper's tables are 2 and 4, 6 and 7 below. */
const sumBlends: readonly Blend[] = [
  { near: channelZero, far: 1, kernels: [half, half] },
  { near: 1, far: channelZero, kernels: [half, half] },
  { near: channelZero, far: 1, kernels: "mean" },
  { near: channelZero, far: channelZero, kernels: [half, half] },
  { near: 1, far: 0 },
  { near: 0, far: 1, kernels: "mean" },
];

/** Those of the module with fast weights. */
const fastWeightBlends: readonly Blend[] = [
  ...sumBlends,
  { near: channelZero, far: channelOne, kernels: "mean" },
  { near: channelZero, far: channelOne, kernels: [one, zero] },
  { near: channelZero, far: channelOne, kernels: [1, zero] },
  { near: 0, far: 1, kernels: [one, zero] },
];

/** The kernels of Long Range Arena and language models by the names they have there. */
const kernelNames: { readonly [name: string]: KernelName } = {
  elu: "elu",
  elu_flip: "eluFlip",
  tanh: "tanh",
  tanh_orthogonal: "tanhFlip",
  relu: "relu",
  celu: "celu",
  sigmoid: "sigmoid",
  leaky_relu: "leakyRelu",
  softplus: "softplus",
  selu: "selu",
  gelu: "gelu",
  silu: "silu",
};

/** The kernels of the copy task, in the order in which they join. */
const copyKernels: readonly KernelName[] = ["elu", "eluFlip", "tanh"];

/**
 * The attention of a released module, as options of ours, and what it calls the weights of its blend.
 *
 * Dropout is left out: the modules drop 10 % of the near field's weights in training (language models none).
 *
 * @throws TypeError when a name is unknown / RangeError when there is no blend of that type
 */
export function officialAttention(config: OfficialConfig): {
  readonly attention: AttentionOptions;
  readonly names: BlendNames;
} {
  const { code, bandwidth = 10, sparseRatio = 0, kernelCount = 1, sparse = true } = config;
  const named = (config.kernels ?? ["elu"]).map(
    (name) => kernelNames[checkName("officialAttention", "kernel", name, Object.keys(kernelNames))],
  );
  const kernels = named.slice(0, 2); // no module reads more
  switch (code) {
    case "LRA SparseLowrankAttention":
    case "LRA ModelForSC": {
      const blend = forKernels(typed(code, lraBlends, sparseRatio), kernels.length);
      return {
        attention: { kind: "fmm", bandwidth, kernels, blend, normalizer: "lra" },
        names: namesOf(blend, ["sparse_ratio", "sparse_ratio2"], ["lowrank_ratio", "lowrank_ratio2"]),
      };
    }
    case "MultiHeadAttnSparseLowrank":
    case "MultiHeadAttnSparseFastWeight": {
      const sums = code === "MultiHeadAttnSparseLowrank";
      const blend = forKernels(typed(code, sums ? sumBlends : fastWeightBlends, sparseRatio), kernels.length);
      return {
        attention: { kind: sums ? "fmm" : "fmm-fast-weight", bandwidth, kernels, blend, normalizer: "lm" },
        names: namesOf(blend, ["sparse_ratio", "sparse_ratio2"], ["lowrank_ratio", "lowrank_ratio2"]),
      };
    }
    case "CausalFMMAttention": {
      const each: BlendWeight = { per: "channel", initial: 1 / kernelCount };
      const weights = new Array<BlendWeight>(kernelCount).fill(each);
      const blend: Blend = { near: sparse ? channelZero : 0, far: 1, kernels: weights };
      return {
        attention: { kind: "fmm", bandwidth, kernels: copyKernels.slice(0, kernelCount), blend, normalizer: "copy" },
        names: namesOf(blend, ["W1"], ["W2", "W3", "W4"]),
      };
    }
    default:
      throw new TypeError(
        `officialAttention: expected the name of a released module, got ${JSON.stringify(code satisfies never)}`,
      );
  }
}

function typed(code: OfficialModule, blends: readonly Blend[], sparseRatio: number): Blend {
  const blend = blends[Math.floor(sparseRatio)];
  if (blend) return blend;
  throw new RangeError(
    `officialAttention: expected a sparse_ratio of ${code} ≥ 0 and < ${blends.length}, got ${sparseRatio}`,
  );
}

/** With one kernel, its weights are not used. */
function forKernels(blend: Blend, r: number): Blend {
  return r === 1 ? { ...blend, kernels: "sum" } : blend;
}

/** Learned weights take names in order: near, then far; and one kernel after the other. */
function namesOf(blend: Blend, fields: readonly string[], kernels: readonly string[]): BlendNames {
  const learned = (weight: unknown): boolean => typeof weight === "object";
  const [first, second] = fields;
  const count = Array.isArray(blend.kernels) ? blend.kernels.filter(learned).length : 0;
  return {
    ...(learned(blend.near) && { near: first }),
    ...(learned(blend.far) && { far: learned(blend.near) ? second : first }),
    ...(count > 0 && { kernels: kernels.slice(0, count) }),
  };
}
