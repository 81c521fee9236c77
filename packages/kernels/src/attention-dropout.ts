import { less, mul, random, type Tensor, where } from "@fmmformer/autodiff";

/** Dropout of attention weights. */
export interface AttentionDropout {
  /** The share of weights to drop, from 0 to below 1. */
  readonly rate: number;
  /** The same key drops the same weights. */
  readonly key: Tensor;
}

/** 16 bits decide, so that a draw is half a word; the rate is met to 2⁻¹⁷. */
const bits = 16;

export function checkRate(op: string, rate: number): number {
  if (rate >= 0 && rate < 1) return rate;
  throw new RangeError(`${op}: expected a dropout rate from 0 to below 1, got ${rate}`);
}

/**
 * Which elements are dropped, bool of this shape. Element i of the flat shape is dropped by word i of the sequence that the key names: it can
 * be drawn again instead of kept.
 */
export function drawDropped({ key, rate }: AttentionDropout, shape: readonly number[]): Tensor {
  return less(random.bits(key, shape, { bits }), Math.round(rate * 2 ** bits));
}

/** Multiplication by z, which is 0 where an element is dropped and 1 / (1 − rate) else. */
export function drop(x: Tensor, dropped: Tensor | null, rate = 0): Tensor {
  return dropped ? where(dropped, 0, mul(x, 1 / (1 - rate))) : x;
}
