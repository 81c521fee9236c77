import { apply } from "./bind.ts";
import { iota } from "./create.ts";
import { type DType, isFloat } from "./dtype.ts";
import { DTypeError } from "./errors.ts";
import { cast } from "./primitives/cast.ts";
import { add, cos, floor, less, log, log1p, maximum, mul, neg, sqrt, sub } from "./primitives/elementwise.ts";
import { reshape } from "./primitives/layout.ts";
import { randomBitsPrimitive, threefry } from "./primitives/random-bits.ts";
import { argmax, argsort } from "./primitives/reduce.ts";
import { alongAxis } from "./primitives/window.ts";
import { checkCount, checkShape } from "./shape.ts";
import { asTensor, Dense, type Scalar, type Tensor } from "./tensor.ts";

// Random numbers without state: a key names a sequence, and everything drawn from it is a function of the key. Draw from a key once;
// split it for more.
//
// Stream 0 of a key serves draws and splits; stream i + 1 serves fold(key, i).

/** A key, int32 (2,), from a whole number. */
export function key(seed: number): Tensor {
  if (!Number.isSafeInteger(seed)) throw new RangeError(`random.key: expected a whole number, got ${seed}`);
  const high = Math.floor(seed / 2 ** 32);
  return new Dense(
    { shape: [2], dtype: "int32", weak: false },
    Int32Array.of(seed | 0, high ^ threefry(high, seed, 0x5eed, 0)[0]),
  );
}

function checkDraw(op: string, shape: readonly number[], dtype: DType = "float32"): void {
  checkShape(op, shape);
  if (!isFloat(dtype)) throw new DTypeError(`${op}: expected float32 or float64, got ${dtype}`);
}

function words(k: Tensor, stream: Scalar, shape: readonly number[], bits: number): Tensor {
  const s = cast(asTensor("random", stream), "int32");
  return apply(randomBitsPrimitive, [k, s], { shape, bits });
}

/** n new keys (default 2), independent of each other; the old one should not be used again. */
export function split(k: Tensor, n = 2): Tensor[] {
  checkCount("random.split", "n", n);
  const all = words(k, 0, [n, 2], 32);
  return Array.from({ length: n }, (_, i) => reshape(alongAxis(all, 0, i, i + 1), [2]));
}

/** A key for step or index i ≥ 0 of the sequence that `k` names; i may be traced. */
export function fold(k: Tensor, i: Scalar): Tensor {
  return words(k, add(cast(asTensor("random.fold", i), "int32"), 1), [2], 32);
}

/** int32 words of which the high `bits` bits are kept (default 32): from 0 to 2^bits − 1, or any int32 when 32. Up to 16 cost a quarter. */
export function bits(k: Tensor, shape: readonly number[], options: { readonly bits?: number } = {}): Tensor {
  const { bits: kept = 32 } = options;
  checkDraw("random.bits", shape);
  if (!Number.isInteger(kept) || kept < 1 || kept > 32)
    throw new RangeError(`random.bits: expected from 1 to 32 bits, got ${kept}`);
  return words(k, 0, shape, kept);
}

/** Where real numbers are drawn. */
export interface RealOptions {
  /** float32 (default) or float64. */
  readonly dtype?: DType;
}

/** Real numbers from `low` (default 0) up to but for rounding not at `high` (default 1): multiples of 2⁻²⁴, or 2⁻⁵³ in float64, scaled. */
export function uniform(
  k: Tensor,
  shape: readonly number[],
  options: RealOptions & { readonly low?: Scalar; readonly high?: Scalar } = {},
): Tensor {
  const { low = 0, high = 1, dtype = "float32" } = options;
  checkDraw("random.uniform", shape, dtype);
  const unit = dtype === "float64" ? double(k, shape) : mul(cast(words(k, 0, shape, 24), "float32"), 2 ** -24);
  return low === 0 && high === 1 ? unit : add(mul(unit, sub(high, low)), low);
}

function double(k: Tensor, shape: readonly number[]): Tensor {
  const pairs = words(k, 0, [2, ...shape], 27);
  const [high, low] = [0, 1].map((i) => cast(reshape(alongAxis(pairs, 0, i, i + 1), shape), "float64"));
  return add(mul(high, 2 ** -27), mul(floor(mul(low, 0.5)), 2 ** -53));
}

/** Real numbers of the normal distribution with mean 0 and standard deviation 1. */
export function normal(k: Tensor, shape: readonly number[], options: RealOptions = {}): Tensor {
  checkDraw("random.normal", shape, options.dtype);
  // Box and Muller (1958): radius and angle from two uniform numbers.
  const pairs = uniform(k, [2, ...shape], options);
  const [u, angle] = [0, 1].map((i) => reshape(alongAxis(pairs, 0, i, i + 1), shape));
  return mul(sqrt(mul(-2, log1p(neg(u)))), cos(mul(2 * Math.PI, angle)));
}

/** true with probability p (broadcast to the shape), false otherwise: bool. */
export function bernoulli(k: Tensor, p: Scalar, shape: readonly number[]): Tensor {
  checkDraw("random.bernoulli", shape);
  return less(uniform(k, shape), p);
}

/** The numbers 0 … n − 1 in random order: int32 (n,). */
export function permutation(k: Tensor, n: number): Tensor {
  checkCount("random.permutation", "n", n);
  // Ties between 32-bit words keep their order: a bias below n²/2³³.
  return n === 0 ? iota(0) : argsort(bits(k, [n]));
}

/** Indices drawn with probabilities e^logits / Σ e^logits along an axis (default: the last), which is dropped: int32. */
export function categorical(k: Tensor, logits: Tensor, options: { readonly axis?: number } = {}): Tensor {
  // Gumbel (1954): the largest of logits with such noise is distributed as wanted.
  // Neither 0 nor 1, at which the noise would be infinite.
  const u = maximum(uniform(k, logits.shape), 2 ** -25);
  return argmax(sub(logits, log(neg(log(u)))), { axis: options.axis ?? -1 });
}
