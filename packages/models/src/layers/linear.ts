import { add, matmul, random, ShapeError, showShape, type Tensor, zeros } from "@fmmformer/autodiff";
import { checkName } from "../known-name.ts";
import { drawNormal, type InitialName, initialNames } from "./initial.ts";
import type { Layer } from "./layer.ts";

export interface LinearOptions {
  /** c, the width of what comes in */
  readonly inputs: number;
  /** e, the width of what goes out */
  readonly outputs: number;
  /** Whether something is added; true unless told */
  readonly bias?: boolean;
  /** "torch" unless told */
  readonly init?: InitialName;
}

export interface LinearParams {
  /** (c, e) */
  readonly weight: Tensor;
  /** (e); absent without */
  readonly bias?: Tensor;
}

/**
 * Multiply each row by a matrix, and add a bias:
 *
 *     y = x W + b
 *
 * Both start uniform in ±1/√c, as PyTorch's do; or, where the start is "normal", W as N(0, 0.02²) and b as 0.
 *
 * @throws ShapeError when x is not (…, c) / TypeError when the start has an unknown name
 */
export function linear({ inputs, outputs, bias = true, init = "torch" }: LinearOptions): Layer<LinearParams> {
  checkName("linear", "init", init, initialNames);
  const high = 1 / Math.sqrt(inputs);
  const uniform = (key: Tensor, shape: readonly number[]): Tensor => random.uniform(key, shape, { low: -high, high });
  return {
    init(key) {
      const [ofWeight, ofBias] = random.split(key);
      if (init === "normal") {
        const drawn = drawNormal(ofWeight, [inputs, outputs]);
        return bias ? { weight: drawn, bias: zeros([outputs]) } : { weight: drawn };
      }
      const weight = uniform(ofWeight, [inputs, outputs]);
      return bias ? { weight, bias: uniform(ofBias, [outputs]) } : { weight };
    },
    apply(params, x) {
      if (x.shape[x.shape.length - 1] !== inputs) {
        throw new ShapeError(`linear: expected x (…, c=${inputs}), got ${showShape(x.shape)}`);
      }
      const y = matmul(x, params.weight); // (…, e)
      return params.bias ? add(y, params.bias) : y;
    },
  };
}
