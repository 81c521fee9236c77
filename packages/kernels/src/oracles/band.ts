import {
  add,
  broadcastTo,
  expandDims,
  iota,
  less,
  lessEqual,
  logicalAnd,
  matmul,
  sub,
  swapAxes,
  type Tensor,
  takeAlongAxis,
  where,
} from "@fmmformer/autodiff";
import type { Sides } from "../band.ts";
import type { BandSoftmaxOptions } from "../band-softmax.ts";
import { softmaxOver } from "./softmax.ts";

/** j − i for all pairs, (n, n). */
function offsets(n: number): Tensor {
  return sub(iota(n), expandDims(iota(n), 1));
}

/** One entry of a row for each index (n, …) given for it. */
function columns(matrix: Tensor, indices: Tensor): Tensor {
  return takeAlongAxis(matrix, broadcastTo(indices, [...matrix.shape.slice(0, -2), ...indices.shape]));
}

/** The n × n matrix that a band stands for, 0 off the band. */
export function bandToDense(band: Tensor, { left, right }: Sides): Tensor {
  const offset = offsets(band.shape[band.shape.length - 2]);
  const inside = logicalAnd(lessEqual(-left, offset), lessEqual(offset, right));
  return where(inside, columns(band, where(inside, add(offset, left), 0)), 0);
}

/** The band of an n × n matrix, 0 where it leaves the matrix. */
export function denseToBand(matrix: Tensor, { left, right }: Sides): Tensor {
  const n = matrix.shape[matrix.shape.length - 1];
  const column = add(expandDims(iota(n), 1), sub(iota(left + right + 1), left));
  const inside = logicalAnd(lessEqual(0, column), less(column, n));
  return where(inside, columns(matrix, where(inside, column, 0)), 0);
}

/** `bandDot` as the product of two matrices, of which the band is read. */
export function bandDot(q: Tensor, k: Tensor, sides: Sides): Tensor {
  return denseToBand(matmul(q, swapAxes(k, -1, -2)), sides);
}

/** `bandMatmul` as the product of two matrices. */
export function bandMatmul(band: Tensor, v: Tensor, sides: Sides): Tensor {
  return matmul(bandToDense(band, sides), v);
}

/** `bandTranspose` by way of the matrix. */
export function bandTranspose(band: Tensor, { left, right }: Sides): Tensor {
  return denseToBand(swapAxes(bandToDense(band, { left, right }), -1, -2), { left: right, right: left });
}

/** `bandSoftmax` as the softmax of the rows of a matrix. */
export function bandSoftmax(band: Tensor, { left, right, mask, bias }: BandSoftmaxOptions): Tensor {
  const offset = offsets(band.shape[band.shape.length - 2]);
  const inside = logicalAnd(lessEqual(-left, offset), lessEqual(offset, right));
  const kept = mask ? logicalAnd(inside, expandDims(expandDims(mask, -2), -2)) : inside;
  const logits = bandToDense(bias ? add(band, expandDims(bias, -2)) : band, { left, right });
  return denseToBand(softmaxOver(kept, logits), { left, right });
}
