import { type FeatureMap, type FeatureMaps, featureMaps } from "@fmmformer/kernels";
import { checkName, checkOptions } from "../known-name.ts";
import type { Attention, AttentionSizes } from "./attention.ts";
import { type Blend, type BlendName, blends } from "./blend.ts";
import { type FarFieldRule, farFieldRule, type NormalizerName } from "./far-field-rule.ts";
import { fmm } from "./fmm.ts";
import { softmax } from "./softmax.ts";

/** The kinds of attention that come with the library. */
export type AttentionKind = "softmax" | "linear" | "band" | "fmm" | "fast-weight" | "fmm-fast-weight";

const kinds: readonly AttentionKind[] = ["softmax", "linear", "band", "fmm", "fast-weight", "fmm-fast-weight"];

/** A feature map by name. */
export type KernelName = keyof FeatureMaps;

/** Which attention, and how. What a kind has no use for is ignored. */
export interface AttentionOptions {
  readonly kind: AttentionKind;
  /** The near field reaches |i − j| < bandwidth; 16 unless told */
  readonly bandwidth?: number;
  /** Feature maps of the far field, by name or one's own; ["elu"] unless told, ["unitSilu"] with fast weights */
  readonly kernels?: readonly (KernelName | FeatureMap)[];
  /** How the fields become one where there are two, by name or as data; "near-first" unless told */
  readonly blend?: BlendName | Blend;
  /** How the far field is scaled; "paper" unless told, "rms" with fast weights */
  readonly normalizer?: NormalizerName | FarFieldRule;
  /** Whether the far field leaves out what the near field sees, so that no token counts twice; false unless told */
  readonly disjoint?: boolean;
  /** Whether each diagonal of the band learns what it adds to the scores; false unless told */
  readonly relativeBias?: boolean;
  /** Whether queries and keys of a softmax are turned by their place; false unless told. The far field sees them as they are */
  readonly rotary?: boolean;
  /** Dropout rate of softmax weights; 0 unless told */
  readonly dropout?: number;
}

/** Every option of attention, for those who pass some on. */
export const attentionOptionNames: readonly (keyof AttentionOptions)[] = [
  "kind",
  "bandwidth",
  "kernels",
  "blend",
  "normalizer",
  "disjoint",
  "relativeBias",
  "rotary",
  "dropout",
];

/**
 * Make attention of a kind.
 *
 * @throws TypeError when a name is unknown / RangeError when a number is out of range
 */
export function attention(options: AttentionOptions, sizes: AttentionSizes): Attention {
  checkOptions("attention", options, attentionOptionNames);
  const kind = checkName("attention", "kind", options.kind, kinds);
  const delta = kind === "fast-weight" || kind === "fmm-fast-weight";
  const { bandwidth = 16, disjoint = false, relativeBias = false, rotary = false, dropout = 0 } = options;
  if (kind === "softmax") return softmax({ rotary, dropout }, sizes);
  if (!Number.isInteger(bandwidth) || bandwidth < 1) {
    throw new RangeError(`attention: expected bandwidth to be an integer ≥ 1, got ${bandwidth}`);
  }
  const blend = blendOf(kind, options.blend ?? "near-first");
  const features = (options.kernels ?? [delta ? "unitSilu" : "elu"]).map(featureMap);
  if (Array.isArray(blend.kernels) && blend.kernels.length !== features.length) {
    throw new RangeError(`attention: expected ${blend.kernels.length} kernels for the blend, got ${features.length}`);
  }
  const rule = farFieldRule(options.normalizer ?? (delta ? "rms" : "paper"));
  const beyond = disjoint && (kind === "fmm" || kind === "fmm-fast-weight") ? bandwidth : 0;
  return fmm({ bandwidth, relativeBias, rotary, dropout, features, rule, beyond, blend, fastWeight: delta }, sizes);
}

function blendOf(kind: Exclude<AttentionKind, "softmax">, blend: BlendName | Blend): Blend {
  if (kind === "band") return { near: 1, far: 0 };
  if (kind === "linear" || kind === "fast-weight") return { near: 0, far: 1 };
  if (typeof blend !== "string") return blend;
  return blends[checkName("attention", "blend", blend, Object.keys(blends) as BlendName[])];
}

function featureMap(kernel: KernelName | FeatureMap): FeatureMap {
  if (typeof kernel !== "string") return kernel;
  return featureMaps[checkName("attention", "kernel", kernel, Object.keys(featureMaps) as KernelName[])];
}
