import { exp2, LOG2E } from "./full-attention";
import { first } from "./share";

// Bytes of a row whose exponentials are taken in scratch, and summed in float32, at a time; sums are added in float64.
// @ts-ignore: decorator
@inline
const BLOCK: usize = 4096;

/** One to three numbers, and −∞ where there is none. */
// @ts-ignore: decorator
@inline
function rest(x: usize, bytes: usize): v128 {
  const least: f32 = -Infinity;
  return f32x4(load<f32>(x), bytes > 4 ? load<f32>(x, 4) : least, bytes > 8 ? load<f32>(x, 8) : least, least);
}

/** The largest of a row. */
// @ts-ignore: decorator
@inline
function largest(x: usize, row: usize): f32 {
  const end = x + (row & ~15);
  let a = f32x4.splat(-Infinity);
  let b = a;
  let c = a;
  let d = a;
  let at = x;
  for (; at + 64 <= end; at += 64) {
    a = f32x4.pmax(a, v128.load(at));
    b = f32x4.pmax(b, v128.load(at, 16));
    c = f32x4.pmax(c, v128.load(at, 32));
    d = f32x4.pmax(d, v128.load(at, 48));
  }
  for (; at < end; at += 16) a = f32x4.pmax(a, v128.load(at));
  if (row & 15) b = f32x4.pmax(b, rest(end, row & 15));
  a = f32x4.pmax(f32x4.pmax(a, b), f32x4.pmax(c, d));
  a = f32x4.pmax(a, v128.shuffle<f32>(a, a, 2, 3, 0, 1));
  a = f32x4.pmax(a, v128.shuffle<f32>(a, a, 1, 0, 3, 2));
  return f32x4.extract_lane(a, 0);
}

// @ts-ignore: decorator
@inline
function sumOf(x: v128): f64 {
  return (
    <f64>f32x4.extract_lane(x, 0) +
    <f64>f32x4.extract_lane(x, 1) +
    (<f64>f32x4.extract_lane(x, 2) + <f64>f32x4.extract_lane(x, 3))
  );
}

/** The sum of e^{x − top} over a row, and, when `to` is not 0, its terms. */
// @ts-ignore: decorator
@inline
function sumOfExp(x: usize, row: usize, top: f32, tile: usize, to: usize): f64 {
  const shift = f32x4.splat(top);
  const zero = f32x4.splat(0);
  let total: f64 = 0;
  for (let begin: usize = 0; begin < row; begin += BLOCK) {
    const from = x + begin;
    const size = min(BLOCK, row - begin);
    const body = size & ~15;
    const whole = (size + 63) & ~63;
    let p: usize = 0;
    for (; p < body; p += 16) {
      v128.store(tile + p, f32x4.mul(f32x4.sub(v128.load(from + p), shift), f32x4.splat(LOG2E)));
    }
    if (body < size) {
      const numbers = rest(from + body, size - body);
      v128.store(tile + p, f32x4.mul(f32x4.sub(numbers, shift), f32x4.splat(LOG2E)));
      p += 16;
    }
    for (; p < whole; p += 16) v128.store(tile + p, f32x4.splat(-Infinity));
    let a = zero;
    let b = zero;
    for (p = 0; p < whole; p += 64) {
      const at = tile + p;
      exp2(at, zero, zero, zero, zero);
      a = f32x4.add(a, f32x4.add(v128.load(at), v128.load(at, 16)));
      b = f32x4.add(b, f32x4.add(v128.load(at, 32), v128.load(at, 48)));
    }
    total += sumOf(f32x4.add(a, b));
    if (!to) continue;
    for (p = 0; p < body; p += 16) v128.store(to + begin + p, v128.load(tile + p));
    for (; p < size; p += 4) store<f32>(to + begin + p, load<f32>(tile + p));
  }
  return total;
}

/**
 * Cross-entropies ln Σ_c e^{x_c} − x_label of rows. A label outside [0, classes) leaves 1 and itself in the error cell,
 * and counts as 0:
 * words: 0 logits (rows, classes) · 1 labels, int32 (rows) · 2 losses (rows) · 3 error, two words · 4 rows · 5 classes;
 *   all contiguous
 * scratch: 4096 bytes
 */
export function softmaxCrossEntropy(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const losses = <usize>load<u32>(at, 8);
  const rows = load<i32>(at, 16);
  const classes = load<i32>(at, 20);
  const row = <usize>classes << 2;
  const last = first(rows, worker + 1, workers);
  for (let i = first(rows, worker, workers); i < last; i++) {
    const x = <usize>load<u32>(at) + <usize>i * row;
    let label = load<i32>(<usize>load<u32>(at, 4) + (<usize>i << 2));
    if (<u32>label >= <u32>classes) {
      const error = <usize>load<u32>(at, 12);
      store<i32>(error, 1);
      store<i32>(error, label, 4);
      label = 0;
    }
    const top = largest(x, row);
    const total = sumOfExp(x, row, top, scratch, 0);
    const below = <f64>top - <f64>load<f32>(x + (<usize>label << 2));
    store<f32>(losses + (<usize>i << 2), <f32>(Math.log(total) + below));
  }
}

/**
 * The cotangent of the logits, g · (e^{x_c} / Σ e^x − [c is the label]):
 * words: 0 logits (rows, classes) · 1 labels, int32 (rows) · 2 g (rows) · 3 dlogits (rows, classes) · 4 rows ·
 *   5 classes; all contiguous, dlogits may be logits; a label outside [0, classes) counts as 0
 * scratch: 4096 bytes
 */
export function softmaxCrossEntropyPullback(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const rows = load<i32>(at, 16);
  const classes = load<i32>(at, 20);
  const row = <usize>classes << 2;
  const body = row & ~15;
  const last = first(rows, worker + 1, workers);
  for (let i = first(rows, worker, workers); i < last; i++) {
    const x = <usize>load<u32>(at) + <usize>i * row;
    const label = load<i32>(<usize>load<u32>(at, 4) + (<usize>i << 2));
    const g = load<f32>(<usize>load<u32>(at, 8) + (<usize>i << 2));
    const dx = <usize>load<u32>(at, 12) + <usize>i * row;
    const total = sumOfExp(x, row, largest(x, row), scratch, dx);
    const target = dx + (<u32>label < <u32>classes ? <usize>label << 2 : 0);
    const ofLabel = <f64>g * ((<f64>load<f32>(target) - total) / total);
    const scale = <f32>(<f64>g / total);
    for (let p: usize = 0; p < body; p += 16) {
      v128.store(dx + p, f32x4.mul(v128.load(dx + p), f32x4.splat(scale)));
    }
    for (let p = body; p < row; p += 4) store<f32>(dx + p, load<f32>(dx + p) * scale);
    store<f32>(target, <f32>ofLabel);
  }
}
