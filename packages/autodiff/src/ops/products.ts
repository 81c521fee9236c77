import { ShapeError, showShape } from "../errors.ts";
import { sum } from "../primitives/broadcast.ts";
import { mul } from "../primitives/elementwise.ts";
import { expandDims } from "../primitives/layout.ts";
import type { Tensor } from "../tensor.ts";

/** Σ xᵢ yᵢ of two vectors. */
export function dot(x: Tensor, y: Tensor): Tensor {
  if (x.shape.length !== 1 || y.shape.length !== 1 || x.size !== y.size) {
    throw new ShapeError(
      `dot: expected two vectors of one length, got ${showShape(x.shape)} and ${showShape(y.shape)}`,
    );
  }
  return sum(mul(x, y));
}

/** xᵢ yⱼ of two vectors, (n, m). */
export function outer(x: Tensor, y: Tensor): Tensor {
  if (x.shape.length !== 1 || y.shape.length !== 1) {
    throw new ShapeError(`outer: expected two vectors, got ${showShape(x.shape)} and ${showShape(y.shape)}`);
  }
  return mul(expandDims(x, 1), y);
}
