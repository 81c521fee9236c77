import { add, matmul, random, ShapeError, showShape, type Tensor } from "@fmmformer/autodiff";
import type { Layer } from "./layer.ts";

export interface LinearOptions {
  /** c, the width of what comes in */
  readonly inputs: number;
  /** e, the width of what goes out */
  readonly outputs: number;
  /** Whether something is added; true unless told */
  readonly bias?: boolean;
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
 * Both start uniform in ±1/√c, as PyTorch's do.
 *
 * @throws ShapeError when x is not (…, c)
 */
export function linear({ inputs, outputs, bias = true }: LinearOptions): Layer<LinearParams> {
  const high = 1 / Math.sqrt(inputs);
  const uniform = (key: Tensor, shape: readonly number[]): Tensor => random.uniform(key, shape, { low: -high, high });
  return {
    init(key) {
      const [ofWeight, ofBias] = random.split(key);
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
