import { random, relu, type Tensor } from "@fmmformer/autodiff";
import { gelu } from "@fmmformer/kernels";
import { checkName } from "../known-name.ts";
import { dropout } from "./dropout.ts";
import type { InitialName } from "./initial.ts";
import type { Layer } from "./layer.ts";
import { type LinearParams, linear } from "./linear.ts";

export type Activation = "gelu" | "relu";

const activations: Readonly<Record<Activation, (x: Tensor) => Tensor>> = { gelu, relu };

export interface FeedForwardOptions {
  /** c, the width of what comes in and goes out */
  readonly width: number;
  /** e, the width in between */
  readonly hidden: number;
  /** "gelu" (the exact form) unless told */
  readonly activation?: Activation;
  /** Dropout rate, behind either linear map; 0 unless told */
  readonly dropout?: number;
  /** "torch" unless told */
  readonly init?: InitialName;
}

export interface FeedForwardParams {
  readonly up: LinearParams;
  readonly down: LinearParams;
}

/**
 * Two linear maps of each token with an activation in between:
 *
 *     y = activation(x W_up + b_up) W_down + b_down
 */
export function feedForward(options: FeedForwardOptions): Layer<FeedForwardParams> {
  const { width, hidden, activation = "gelu", dropout: rate = 0, init = "torch" } = options;
  const activate = activations[checkName("feedForward", "activation", activation, ["gelu", "relu"])];
  const up = linear({ inputs: width, outputs: hidden, init });
  const down = linear({ inputs: hidden, outputs: width, init });
  return {
    init(key) {
      const [ofUp, ofDown] = random.split(key);
      return { up: up.init(ofUp), down: down.init(ofDown) };
    },
    apply(params, x, { key = null } = {}) {
      const [inside, outside] = key ? random.split(key) : [null, null];
      const y = dropout(rate, activate(up.apply(params.up, x)), { key: inside }); // (…, n, e)
      return dropout(rate, down.apply(params.down, y), { key: outside }); // (…, n, c)
    },
  };
}
