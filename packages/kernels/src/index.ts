// The near field

export type { AttentionDropout } from "./attention-dropout.ts";
export { bandDot, bandMatmul, bandTranspose, type Sides } from "./band.ts";
export { type BandSoftmaxOptions, bandLogSumExp, bandSoftmax } from "./band-softmax.ts";
export { type NearFieldOptions, nearField, sidesOf } from "./near-field.ts";

// The far field

export { causalNormalizer, causalProduct } from "./causal-product.ts";
export { type FarFieldNorms, type FarFieldOptions, farField } from "./far-field.ts";
export { type FarFieldPresets, type FarFieldSizes, farFieldPresets } from "./far-field-presets.ts";
export { type FastWeightOptions, fastWeight } from "./fast-weight.ts";
export { type FeatureMap, type FeatureMaps, featureMaps, l1Normalized } from "./feature-maps.ts";

// What both stand in for

export { type FullAttentionOptions, fullAttention } from "./full-attention.ts";

// Layers

export { type AdamOptions, adamUpdate, biasCorrection } from "./adam-update.ts";
export { meanCrossEntropy, softmaxCrossEntropy } from "./cross-entropy.ts";
export { dropout } from "./dropout.ts";
export { gelu } from "./gelu.ts";
export { layerNorm } from "./layer-norm.ts";
export {
  type LinearCrossEntropy,
  type LinearCrossEntropyOptions,
  linearCrossEntropy,
} from "./linear-cross-entropy.ts";
export { rmsNorm } from "./rms-norm.ts";
