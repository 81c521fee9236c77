import { checkName } from "../known-name.ts";
import type { Layer } from "./layer.ts";
import { type LayerNormOptions, type LayerNormParams, layerNorm } from "./layer-norm.ts";
import { type RmsNormParams, rmsNorm } from "./rms-norm.ts";

/** How rows are brought to one size. */
export type NormName = "layer" | "rms";

export type NormParams = LayerNormParams | RmsNormParams;

/** A normalisation by name. */
export function norm(name: NormName, options: LayerNormOptions): Layer<NormParams> {
  const layer = { layer: layerNorm, rms: rmsNorm }[checkName("norm", "name", name, ["layer", "rms"])];
  return layer(options) as Layer<NormParams>;
}
