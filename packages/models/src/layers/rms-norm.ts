import { ones, type Tensor } from "@fmmformer/autodiff";
import { rmsNorm as normalize } from "@fmmformer/kernels";
import type { Layer } from "./layer.ts";
import type { LayerNormOptions } from "./layer-norm.ts";

export interface RmsNormParams {
  /** (c) */
  readonly gain: Tensor;
}

/** Bring each row to mean square 1, then stretch it by a gain that starts at 1. */
export function rmsNorm({ width, eps = 1e-5 }: LayerNormOptions): Layer<RmsNormParams> {
  return {
    init: () => ({ gain: ones([width]) }),
    apply: ({ gain }, x) => normalize(x, gain, { eps }),
  };
}
