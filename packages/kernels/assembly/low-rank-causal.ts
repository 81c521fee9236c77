import { CHUNK, scoresWithin } from "./causal-chunk";
import { headOf, joinState, mapOf, splitState } from "./low-rank-field";
import {
  addOuter,
  addWeighted,
  bytes,
  copyRows,
  divideRow,
  divisor,
  dots,
  padded,
  padRows,
  product,
  transpose,
} from "./low-rank-tile";
import { first } from "./share";

/**
 * What queries read from tokens up to their own, x_i = (S + Σ_{j≤i} φk_j [v_j, 1]ᵀ)ᵀ φq_i with S the state before their
 * block: their weights x_{i,m+1}, and the terms t_i = x_{i,1:m} / (max(x_{i,m+1}, 0) + ε), 0 where that divisor is 0, or
 * x_{i,1:m} as they are. A chunk is multiplied as a whole: a NaN in it comes to tokens before it too.
 * words: 0 b · 1 h · 2 r · 3 n · 4 f · 5 m · 6 tokens of a block ·
 *   7 φq (b, h, r, n, f) · 8 its strides of batch · 9 head · 10 map · 11 row ·
 *   12 φk (b, h, r, n, f) · 13 its strides of batch · 14 head · 15 map · 16 row ·
 *   17 v (b, h, n, m) · 18 its strides of batch · 19 head · 20 row ·
 *   21 states before the blocks (b, h, r, ⌈n / tokens⌉, f, m + 1), contiguous, or 0 where they are zeros;
 *      one block where there are no tokens ·
 *   22 t (b, h, r, n, m) · 23 its strides of batch · 24 head · 25 map · 26 row ·
 *   27 weights (b, h, r, n), contiguous · 28 whether to divide · 29 ε · 30 the last state (b, h, r, f, m + 1), contiguous
 * scratch: 4 ((f + 2 C) M + (F + C) (C + 1) + f C + max(M, C)) bytes, F and M being f and m rounded up to 4, C tokens a chunk
 */
export function lowRankReadCausal(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const b = load<i32>(at);
  const h = load<i32>(at, 4);
  const r = load<i32>(at, 8);
  const n = load<i32>(at, 12);
  const f = load<i32>(at, 16);
  const m = load<i32>(at, 20);
  const block = load<i32>(at, 24);
  const qRow = <usize>load<u32>(at, 44);
  const kRow = <usize>load<u32>(at, 64);
  const vRow = <usize>load<u32>(at, 80);
  const states = <usize>load<u32>(at, 84);
  const tRow = <usize>load<u32>(at, 104);
  const weights = <usize>load<u32>(at, 108);
  const divides = load<i32>(at, 112) != 0;
  const eps = load<f32>(at, 116);
  const lasts = <usize>load<u32>(at, 120);

  const width = padded(m);
  const sRow = bytes(width);
  const aRow = bytes(padded(f) + CHUNK);
  const s = scratch; // the state, and values below it
  const values = s + <usize>f * sRow;
  const z = values + <usize>CHUNK * sRow; // its weights, and ones behind them
  const ones = z + bytes(f);
  const a = z + aRow; // queries, and scores behind them
  const turned = a + <usize>CHUNK * aRow;
  const x = turned + bytes(f * CHUNK);
  const zeros = x + <usize>CHUNK * sRow;
  memory.fill(zeros, 0, bytes(max(width, CHUNK)));
  for (let i = 0; i < CHUNK; i++) store<f32>(ones + bytes(i), 1);

  const blocks = max(1, (n + block - 1) / block);
  const size = bytes(f * (m + 1));
  const units = b * h * r * blocks;
  const last = first(units, worker + 1, workers);
  for (let unit = first(units, worker, workers); unit < last; unit++) {
    const begin = (unit % blocks) * block;
    const end = min(n, begin + block);
    const map = unit / blocks;
    const q = mapOf(at + 28, map, h, r);
    const k = mapOf(at + 48, map, h, r);
    const v = headOf(at + 68, map / r, h);
    const t = mapOf(at + 88, map, h, r);
    if (states) splitState(states + <usize>unit * size, s, z, f, m);
    else {
      memory.fill(s, 0, <usize>f * sRow);
      memory.fill(z, 0, bytes(f));
    }
    for (let i = begin; i < end; i += CHUNK) {
      const rows = min(CHUNK, end - i);
      const keys = k + <usize>i * kRow;
      const terms = t + <usize>i * tRow;
      const sums = weights + bytes(map * n + i);
      copyRows(a, aRow, q + <usize>i * qRow, qRow, rows, f);
      padRows(values, sRow, v + <usize>i * vRow, vRow, rows, m);
      transpose(turned, bytes(CHUNK), keys, kRow, rows, f);
      scoresWithin(a + bytes(f), aRow, a, aRow, turned, zeros, rows, f, false);
      dots(sums, a, aRow, z, 0, rows, f + rows);
      product(x, sRow, zeros, 0, a, aRow, s, sRow, rows, f + rows, width);
      if (!divides) copyRows(terms, tRow, x, sRow, rows, m);
      else {
        for (let p = 0; p < rows; p++) {
          divideRow(terms + <usize>p * tRow, x + <usize>p * sRow, divisor(load<f32>(sums + bytes(p)), eps), m);
        }
      }
      if (i + rows == end && end < n) continue;
      addWeighted(z, keys, kRow, ones, rows, f);
      addOuter(s, sRow, keys, kRow, values, sRow, rows, f, width);
    }
    if (end == n) joinState(lasts + <usize>map * size, s, z, f, m);
  }
}
