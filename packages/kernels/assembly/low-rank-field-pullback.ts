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
  productAndOuter,
  touch,
  transpose,
} from "./low-rank-tile";
import { first } from "./share";

// The pullback of low-rank attention behind its feature maps, in three steps: queries, with R = Σ_i φq_i h_iᵀ in parts,
// the sum of these (lowRankStateSum), and keys and values. h_i = [g_i, −g_i·t_i] / den_i is the cotangent of the row
// x_i that query i has read.

/** Tokens that are worked on at a time. */
// @ts-ignore: decorator
@inline
const CHUNK: i32 = 64;

/**
 * The cotangents of queries, dφq_i = S h_i, and of the state, Σ_i φq_i h_iᵀ over blocks of tokens:
 * words: 0 b · 1 h · 2 r · 3 n · 4 f · 5 m · 6 tokens of a block ·
 *   7 φq (b, h, r, n, f) · 8 its strides of batch · 9 head · 10 map · 11 row ·
 *   12 S (b, h, r, f, m + 1), contiguous; unread without 26 ·
 *   13 g, the cotangent of t (b, h, r, n, m) · 14 its strides of batch · 15 head · 16 map · 17 row ·
 *   18 t (b, h, r, n, m) · 19 its strides of batch · 20 head · 21 map · 22 row; unread when nothing was divided ·
 *   23 weights (b, h, r, n), contiguous; unread when nothing was divided · 24 whether terms were divided · 25 ε ·
 *   26 dφq (b, h, r, n, f) or 0 · 27 its strides of batch · 28 head · 29 map · 30 row ·
 *   31 partials (b, h, r, ⌈n / tokens⌉, f, m + 1), contiguous, or 0
 * scratch: 4 (f M + F + (m + 1) F + F + 128 + 64 M + 64 F) bytes, F and M being f and m rounded up to 4
 */
export function lowRankPullQueries(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const b = load<i32>(at);
  const h = load<i32>(at, 4);
  const r = load<i32>(at, 8);
  const n = load<i32>(at, 12);
  const f = load<i32>(at, 16);
  const m = load<i32>(at, 20);
  const block = load<i32>(at, 24);
  const qRow = <usize>load<u32>(at, 44);
  const states = <usize>load<u32>(at, 48);
  const gRow = <usize>load<u32>(at, 68);
  const tRow = <usize>load<u32>(at, 88);
  const weights = <usize>load<u32>(at, 92);
  const divided = load<i32>(at, 96) != 0;
  const eps = load<f32>(at, 100);
  const ofQueries = load<u32>(at, 104) != 0;
  const dRow = <usize>load<u32>(at, 120);
  const partials = <usize>load<u32>(at, 124);

  const width = padded(m);
  const features = padded(f);
  const sRow = bytes(width);
  const fRow = bytes(features);
  const s = scratch;
  const z = s + <usize>f * sRow;
  const turned = z + fRow;
  const turnedWeights = turned + <usize>m * fRow;
  const zeros = turnedWeights + fRow;
  const products = zeros + fRow;
  const ofWeights = products + bytes(CHUNK);
  const rowsOf = ofWeights + bytes(CHUNK);
  const x = rowsOf + <usize>CHUNK * sRow;
  memory.fill(zeros, 0, fRow);

  const blocks = (n + block - 1) / block;
  const units = b * h * r * blocks;
  const last = first(units, worker + 1, workers);
  let present = -1;
  for (let unit = first(units, worker, workers); unit < last; unit++) {
    const begin = (unit % blocks) * block;
    const end = min(n, begin + block);
    const map = unit / blocks;
    const q = mapOf(at + 28, map, h, r);
    const g = mapOf(at + 52, map, h, r);
    const t = mapOf(at + 72, map, h, r);
    const d = mapOf(at + 104, map, h, r);
    if (ofQueries && map != present) {
      transpose(turned, fRow, states + <usize>map * bytes(f * (m + 1)), bytes(m + 1), f, m + 1);
    }
    present = map;
    memory.fill(s, 0, <usize>f * sRow + fRow);
    for (let i = begin; i < end; i += CHUNK) {
      const rows = min(CHUNK, end - i);
      const queries = q + <usize>i * qRow;
      if (qRow > bytes(f)) touch(x, q, qRow, i, i + rows, f);
      if (gRow > bytes(m)) touch(x, g, gRow, i, i + rows, m);
      if (tRow > bytes(m) && divided) touch(x, t, tRow, i, i + rows, m);
      if (dRow > bytes(f)) touch(x, d, dRow, i, i + rows, f);
      let ct = g + <usize>i * gRow;
      let ctRow = gRow;
      if (divided) {
        for (let c = m; c < width; c++) {
          for (let p = 0; p < rows; p++) store<f32>(rowsOf + <usize>p * sRow + bytes(c), 0);
        }
        const sums = weights + bytes(map * n + i);
        pullDivision(rowsOf, sRow, ofWeights, 4, products, ct, gRow, t + <usize>i * tRow, tRow, sums, eps, rows, m);
        ct = rowsOf;
        ctRow = sRow;
      } else if (width != m) {
        padRows(rowsOf, sRow, ct, gRow, rows, m);
        ct = rowsOf;
        ctRow = sRow;
      }
      if (partials) {
        if (divided) addWeighted(z, queries, qRow, ofWeights, rows, f);
        addOuter(s, sRow, queries, qRow, ct, ctRow, rows, f, width);
      }
      if (ofQueries) {
        const whole = features == f;
        const to = whole ? d + <usize>i * dRow : x;
        const toRow = whole ? dRow : fRow;
        if (divided) {
          productAndOuter(to, toRow, ofWeights, turnedWeights, ct, ctRow, turned, fRow, rows, m, features);
        } else product(to, toRow, zeros, 0, ct, ctRow, turned, fRow, rows, m, features);
        if (!whole) copyRows(d + <usize>i * dRow, dRow, x, fRow, rows, f);
      }
    }
    if (partials) joinState(partials + <usize>unit * bytes(f * (m + 1)), s, z, f, m);
  }
}

/**
 * The cotangent of rows that were read, h_i = [g_i, −g_i·t_i] / den_i: its last number goes to `ofWeights`, those
 * `weightsRow` bytes apart. `products` are numbers in scratch, one a row.
 */
export function pullDivision(
  to: usize,
  toRow: usize,
  ofWeights: usize,
  weightsRow: usize,
  products: usize,
  g: usize,
  gRow: usize,
  t: usize,
  tRow: usize,
  weights: usize,
  eps: f32,
  rows: i32,
  m: i32,
): void {
  dots(products, g, gRow, t, tRow, rows, m);
  for (let p = 0; p < rows; p++) {
    const weight = load<f32>(weights + bytes(p));
    const by = divisor(weight, eps);
    divideRow(to + <usize>p * toRow, g + <usize>p * gRow, by, m);
    store<f32>(ofWeights + <usize>p * weightsRow, weight > 0 ? -load<f32>(products + bytes(p)) / by : 0);
  }
}

/**
 * The cotangents of keys, dφk_j = R [v_j, 1], and of values, dv_j = (Rᵀ φk_j)_{1:m} summed over feature maps:
 * words: 0 b · 1 h · 2 r · 3 n · 4 f · 5 m · 6 tokens of a block ·
 *   7 φk (b, h, r, n, f) · 8 its strides of batch · 9 head · 10 map · 11 row; unread without 22 ·
 *   12 v (b, h, n, m) · 13 its strides of batch · 14 head · 15 row; unread without 17 ·
 *   16 R, the cotangent of the last state (b, h, r, f, m + 1), contiguous ·
 *   17 dφk (b, h, r, n, f) or 0 · 18 its strides of batch · 19 head · 20 map · 21 row ·
 *   22 dv (b, h, n, m) or 0 · 23 its strides of batch · 24 head · 25 row
 * scratch: 4 (f M + F + (m + 1) F + M + 64 max(M, F)) bytes, F and M being f and m rounded up to 4
 */
export function lowRankPullKeys(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const b = load<i32>(at);
  const h = load<i32>(at, 4);
  const r = load<i32>(at, 8);
  const n = load<i32>(at, 12);
  const f = load<i32>(at, 16);
  const m = load<i32>(at, 20);
  const block = load<i32>(at, 24);
  const kRow = <usize>load<u32>(at, 44);
  const vRow = <usize>load<u32>(at, 60);
  const states = <usize>load<u32>(at, 64);
  const ofKeys = load<u32>(at, 68) != 0;
  const dkRow = <usize>load<u32>(at, 84);
  const ofValues = load<u32>(at, 88) != 0;
  const dvRow = <usize>load<u32>(at, 100);

  const width = padded(m);
  const features = padded(f);
  const sRow = bytes(width);
  const fRow = bytes(features);
  const s = scratch;
  const z = s + <usize>f * sRow;
  const turned = z + fRow;
  const ofWeights = turned + <usize>m * fRow;
  const zeros = ofWeights + fRow;
  const x = zeros + sRow;
  memory.fill(zeros, 0, sRow);

  const blocks = (n + block - 1) / block;
  const units = b * h * blocks;
  const last = first(units, worker + 1, workers);
  for (let unit = first(units, worker, workers); unit < last; unit++) {
    const begin = (unit % blocks) * block;
    const end = min(n, begin + block);
    const head = unit / blocks;
    const v = headOf(at + 48, head, h);
    const dv = headOf(at + 88, head, h);
    for (let l = 0; l < r; l++) {
      const map = head * r + l;
      const k = mapOf(at + 28, map, h, r);
      const dk = mapOf(at + 68, map, h, r);
      const state = states + <usize>map * bytes(f * (m + 1));
      if (ofKeys) transpose(turned, fRow, state, bytes(m + 1), f, m + 1);
      if (ofValues) splitState(state, s, z, f, m);
      for (let i = begin; i < end; i += CHUNK) {
        const rows = min(CHUNK, end - i);
        if (ofKeys && vRow > bytes(m)) touch(x, v, vRow, i, i + rows, m);
        if (ofKeys && dkRow > bytes(f)) touch(x, dk, dkRow, i, i + rows, f);
        if (ofValues && kRow > bytes(f)) touch(x, k, kRow, i, i + rows, f);
        if (ofValues && dvRow > bytes(m)) touch(x, dv, dvRow, i, i + rows, m);
        if (ofKeys) {
          const values = v + <usize>i * vRow;
          const to = dk + <usize>i * dkRow;
          if (features == f) product(to, dkRow, ofWeights, 0, values, vRow, turned, fRow, rows, m, f);
          else {
            product(x, fRow, ofWeights, 0, values, vRow, turned, fRow, rows, m, features);
            copyRows(to, dkRow, x, fRow, rows, f);
          }
        }
        if (ofValues) {
          const keys = k + <usize>i * kRow;
          const to = dv + <usize>i * dvRow;
          if (width == m) {
            if (l == 0) product(to, dvRow, zeros, 0, keys, kRow, s, sRow, rows, f, m);
            else product(to, dvRow, to, dvRow, keys, kRow, s, sRow, rows, f, m);
          } else {
            if (l == 0) memory.fill(x, 0, <usize>rows * sRow);
            else padRows(x, sRow, to, dvRow, rows, m);
            product(x, sRow, x, sRow, keys, kRow, s, sRow, rows, f, width);
            copyRows(to, dvRow, x, sRow, rows, m);
          }
        }
      }
    }
  }
}
