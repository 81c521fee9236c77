import {
  abs,
  add,
  div,
  expandDims,
  iota,
  less,
  lessEqual,
  logicalAnd,
  matmul,
  mul,
  random,
  sub,
  swapAxes,
  type Tensor,
  take,
  where,
} from "@fmmformer/autodiff";
import type { NearFieldOptions } from "../near-field.ts";
import { bandToDense } from "./band.ts";
import { softmaxOver } from "./softmax.ts";

/** `nearField` with all n² scores written out, of which only those in the band count. */
export function nearField(q: Tensor, k: Tensor, v: Tensor, options: NearFieldOptions): Tensor {
  const { bandwidth, causal, mask, bias, dropout } = options;
  const [n, d] = q.shape.slice(-2);
  const offset = sub(iota(n), expandDims(iota(n), 1)); // j − i
  const near = less(abs(offset), bandwidth);
  const band = causal ? logicalAnd(near, lessEqual(offset, 0)) : near;
  const dots = mul(matmul(q, swapAxes(k, -1, -2)), options.scale ?? 1 / Math.sqrt(d));
  const scores = bias ? add(dots, take(bias, where(band, add(offset, bandwidth - 1), 0), { axis: -1 })) : dots;
  const kept = mask ? logicalAnd(band, expandDims(expandDims(mask, -2), -2)) : band;
  const weights = softmaxOver(kept, scores);
  if (!dropout) return matmul(weights, v);
  const sides = { left: bandwidth - 1, right: causal ? 0 : bandwidth - 1 };
  const bits = random.bits(dropout.key, [...q.shape.slice(0, -1), sides.left + sides.right + 1], { bits: 16 });
  const survives = bandToDense(lessEqual(Math.round(dropout.rate * 65536), bits), sides);
  return matmul(where(survives, div(weights, 1 - dropout.rate), 0), v);
}
