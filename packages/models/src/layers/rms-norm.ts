import type { Tensor } from "@fmmformer/autodiff";
import { rmsNorm as normalize } from "@fmmformer/kernels";
import { initialGain } from "./initial.ts";
import type { Layer } from "./layer.ts";
import type { LayerNormOptions } from "./layer-norm.ts";

export interface RmsNormParams {
  /** (c) */
  readonly gain: Tensor;
}

/** Bring each row to mean square 1, then stretch it by a gain that starts at 1, or at N(1, 0.02²) where the start is "normal". */
export function rmsNorm({ width, eps = 1e-5, init = "torch" }: LayerNormOptions): Layer<RmsNormParams> {
  return {
    init: (key) => ({ gain: initialGain(key, width, init) }),
    apply: ({ gain }, x) => normalize(x, gain, { eps }),
  };
}
