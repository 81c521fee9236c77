import { CHUNK, scoresWithin } from "./causal-chunk";
import { joined, upper } from "./low-rank-field";
import { addOuter, bytes, copyRows, padded, padRows, product, transpose } from "./low-rank-tile";
import { first } from "./share";

// o_i = (S_0 + Σ_{j≤i} k_j v_jᵀ)ᵀ q_i in three steps: the sums of segments of tokens, the states before each segment,
// and within a segment, chunk by chunk, O = Q S + tril(Q Kᵀ) V and S ← S + Kᵀ V. `reverse` runs from the last token to
// the first.

/**
 * The sums of segments of tokens, Σ_j k_j v_jᵀ over each:
 * words: 0 z · 1 n · 2 f · 3 m · 4 tokens of a segment · 5 k (z, n, f) · 6 v (z, n, m) ·
 *   7 partials (z, ⌈n / tokens⌉, f, m); all contiguous
 * scratch: 4 (f M + 64 M) bytes, M being m rounded up to 4
 */
export function causalSums(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const z = load<i32>(at);
  const n = load<i32>(at, 4);
  const f = load<i32>(at, 8);
  const m = load<i32>(at, 12);
  const tokens = load<i32>(at, 16);
  const k = <usize>load<u32>(at, 20);
  const v = <usize>load<u32>(at, 24);
  const partials = <usize>load<u32>(at, 28);

  const width = padded(m);
  const sRow = bytes(width);
  const s = scratch;
  const padding = s + <usize>f * sRow;

  const segments = (n + tokens - 1) / tokens;
  const units = z * segments;
  const last = first(units, worker + 1, workers);
  for (let unit = first(units, worker, workers); unit < last; unit++) {
    const segment = unit % segments;
    const begin = segment * tokens;
    const end = min(n, begin + tokens);
    const row = <usize>(unit / segments) * <usize>n;
    memory.fill(s, 0, <usize>f * sRow);
    for (let i = begin; i < end; i += 64) {
      const rows = min(64, end - i);
      const keys = k + (row + i) * bytes(f);
      let values = v + (row + i) * bytes(m);
      if (width != m) {
        padRows(padding, sRow, values, bytes(m), rows, m);
        values = padding;
      }
      addOuter(s, sRow, keys, bytes(f), values, sRow, rows, f, width);
    }
    copyRows(partials + <usize>unit * bytes(f * m), bytes(m), s, sRow, f, m);
  }
}

/**
 * Turn the sums of segments into the states before each (reverse: after each), and write the last state. The running
 * sum is kept in float64.
 * words: 0 z · 1 segments · 2 size of a state, f m · 3 reverse · 4 S_0 (z, f, m) or 0 ·
 *   5 partials (z, segments, f, m) · 6 the last state (z, f, m) or 0
 * scratch: none
 */
export function causalPrefix(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const z = load<i32>(at);
  const segments = load<i32>(at, 4);
  const size = load<i32>(at, 8);
  const reverse = load<i32>(at, 12) != 0;
  const initial = <usize>load<u32>(at, 16);
  const partials = <usize>load<u32>(at, 20);
  const end = <usize>load<u32>(at, 24);
  const stride: usize = reverse ? 0 - bytes(size) : bytes(size);

  const pieces = (size + PIECE - 1) / PIECE;
  const units = z * pieces;
  const last = first(units, worker + 1, workers);
  for (let unit = first(units, worker, workers); unit < last; unit++) {
    const offset = <usize>(unit / pieces) * bytes(size);
    const from = partials + offset * <usize>segments + (reverse ? <usize>(segments - 1) * bytes(size) : 0);
    let i = (unit % pieces) * PIECE;
    const until = min(size, i + PIECE);
    for (; i + 4 <= until; i += 4) {
      let low = f64x2.splat(0);
      let high = low;
      if (initial) {
        const x = v128.load(initial + offset + bytes(i));
        low = f64x2.promote_low_f32x4(x);
        high = f64x2.promote_low_f32x4(upper(x));
      }
      let part = from + bytes(i);
      for (let p = 0; p < segments; p++) {
        const x = v128.load(part);
        v128.store(part, joined(low, high));
        low = f64x2.add(low, f64x2.promote_low_f32x4(x));
        high = f64x2.add(high, f64x2.promote_low_f32x4(upper(x)));
        part += stride;
      }
      if (end) v128.store(end + offset + bytes(i), joined(low, high));
    }
    for (; i < until; i++) {
      let sum: f64 = initial ? <f64>load<f32>(initial + offset + bytes(i)) : 0;
      let part = from + bytes(i);
      for (let p = 0; p < segments; p++) {
        const x = <f64>load<f32>(part);
        store<f32>(part, <f32>sum);
        sum += x;
        part += stride;
      }
      if (end) store<f32>(end + offset + bytes(i), <f32>sum);
    }
  }
}

// Numbers of a state that one worker sums.
// @ts-ignore: decorator
@inline
const PIECE: i32 = 256;

/**
 * Read the running sum from the states before each segment (reverse: after each). A chunk is multiplied as a whole: a NaN in
 * it comes to all its tokens.
 * words: 0 z · 1 n · 2 f · 3 m · 4 tokens of a segment · 5 reverse · 6 q (z, n, f) · 7 k (z, n, f) · 8 v (z, n, m) ·
 *   9 states before the segments (z, ⌈n / tokens⌉, f, m) · 10 o (z, n, m); all contiguous
 * scratch: 4 ((f + 2 C) M + C (F + C) + f C + max(M, C)) bytes, F and M being f and m rounded up to 4, C tokens a chunk
 */
export function causalProduct(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const z = load<i32>(at);
  const n = load<i32>(at, 4);
  const f = load<i32>(at, 8);
  const m = load<i32>(at, 12);
  const tokens = load<i32>(at, 16);
  const reverse = load<i32>(at, 20) != 0;
  const q = <usize>load<u32>(at, 24);
  const k = <usize>load<u32>(at, 28);
  const v = <usize>load<u32>(at, 32);
  const states = <usize>load<u32>(at, 36);
  const o = <usize>load<u32>(at, 40);

  const width = padded(m);
  const sRow = bytes(width);
  const fRow = bytes(f);
  const aRow = bytes(padded(f) + CHUNK);
  const s = scratch; // the state, and values below it
  const values = s + <usize>f * sRow;
  const a = values + <usize>CHUNK * sRow; // queries, and scores behind them
  const turned = a + <usize>CHUNK * aRow;
  const zeros = turned + bytes(f * CHUNK);
  const x = zeros + bytes(max(width, CHUNK));
  memory.fill(zeros, 0, bytes(max(width, CHUNK)));

  const segments = (n + tokens - 1) / tokens;
  const units = z * segments;
  const last = first(units, worker + 1, workers);
  for (let unit = first(units, worker, workers); unit < last; unit++) {
    const begin = (unit % segments) * tokens;
    const end = min(n, begin + tokens);
    const row = <usize>(unit / segments) * <usize>n;
    padRows(s, sRow, states + <usize>unit * bytes(f * m), bytes(m), f, m);
    const chunks = (end - begin + CHUNK - 1) / CHUNK;
    for (let chunk = 0; chunk < chunks; chunk++) {
      const i = begin + (reverse ? chunks - 1 - chunk : chunk) * CHUNK;
      const rows = min(CHUNK, end - i);
      const keys = k + (row + i) * fRow;
      const to = o + (row + i) * bytes(m);
      const out = width == m ? to : x;
      copyRows(a, aRow, q + (row + i) * fRow, fRow, rows, f);
      padRows(values, sRow, v + (row + i) * bytes(m), bytes(m), rows, m);
      transpose(turned, bytes(CHUNK), keys, fRow, rows, f);
      scoresWithin(a + fRow, aRow, a, aRow, turned, zeros, rows, f, reverse);
      product(out, sRow, zeros, 0, a, aRow, s, sRow, rows, f + rows, width);
      if (width != m) copyRows(to, bytes(m), x, sRow, rows, m);
      if (chunk + 1 < chunks) addOuter(s, sRow, keys, fRow, values, sRow, rows, f, width);
    }
  }
}
