import { type Tensor, zeros } from "@fmmformer/autodiff";
import { layerNorm as normalize } from "@fmmformer/kernels";
import { type InitialName, initialGain } from "./initial.ts";
import type { Layer } from "./layer.ts";

export interface LayerNormOptions {
  /** c, the width of a row */
  readonly width: number;
  /** ε under the root; 1e-5 unless told */
  readonly eps?: number;
  /** "torch" unless told */
  readonly init?: InitialName;
}

export interface LayerNormParams {
  /** (c) */
  readonly gain: Tensor;
  /** (c) */
  readonly bias: Tensor;
}

/**
 * Bring each row to mean 0 and variance 1, then stretch it by a gain that starts at 1, or at N(1, 0.02²) where the start is "normal", and
 * shift it by a bias that starts at 0.
 */
export function layerNorm({ width, eps = 1e-5, init = "torch" }: LayerNormOptions): Layer<LayerNormParams> {
  return {
    init: (key) => ({ gain: initialGain(key, width, init), bias: zeros([width]) }),
    apply: ({ gain, bias }, x) => normalize(x, gain, bias, { eps }),
  };
}
