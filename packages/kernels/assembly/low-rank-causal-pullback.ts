import { CHUNK, scoresWithin } from "./causal-chunk";
import { headOf, mapOf } from "./low-rank-field";
import { pullDivision } from "./low-rank-field-pullback";
import { addOuter, addWeighted, bytes, copyRows, padded, padRows, product, transpose } from "./low-rank-tile";
import { first } from "./share";

/**
 * The cotangents of queries, keys and values where queries read tokens up to their own. With h_i = [g_i, −g_i·t_i] / den_i
 * that of the row x_i that query i has read, a chunk of them H, [v_j, 1] of a chunk Ṽ, S the state before it, and
 * R = Σ φq_i h_iᵀ over later chunks and what the last state adds:
 *
 *     dQ = H Sᵀ + tril(H Ṽᵀ) K,   dK = Ṽ Rᵀ + tril(H Ṽᵀ)ᵀ Q,   dV = (K R + tril(Q Kᵀ)ᵀ H)_{1:m} summed over feature maps
 *
 * Both states are kept turned: Sᵀ before each chunk of a block, made from its first token on, and Rᵀ, made from its last.
 * A chunk is multiplied as a whole: a NaN in it comes to all its tokens.
 * words: 0 b · 1 h · 2 r · 3 n · 4 f · 5 m · 6 tokens of a block ·
 *   7 φq (b, h, r, n, f) · 8 its strides of batch · 9 head · 10 map · 11 row ·
 *   12 φk (b, h, r, n, f) · 13 its strides of batch · 14 head · 15 map · 16 row ·
 *   17 v (b, h, n, m) · 18 its strides of batch · 19 head · 20 row ·
 *   21 S before the blocks (b, h, r, ⌈n / tokens⌉, f, m + 1), contiguous, or 0 where they are zeros; unread without 36 ·
 *      22 R behind the blocks, or 0 likewise; one block where there are no tokens ·
 *   23 g, the cotangent of t (b, h, r, n, m) · 24 its strides of batch · 25 head · 26 map · 27 row ·
 *   28 t (b, h, r, n, m) · 29 its strides of batch · 30 head · 31 map · 32 row; unread when nothing was divided ·
 *   33 weights (b, h, r, n), contiguous; unread when nothing was divided · 34 whether terms were divided · 35 ε ·
 *   36 dφq (b, h, r, n, f) or 0 · 37 its strides of batch · 38 head · 39 map · 40 row ·
 *   41 dφk (b, h, r, n, f) or 0 · 42 its strides of batch · 43 head · 44 map · 45 row ·
 *   46 dv (b, h, n, m) or 0 · 47 its strides of batch · 48 head · 49 row ·
 *   50 dS_0 (b, h, r, f, m + 1), contiguous, or 0
 * scratch: 4 ((⌈tokens / C⌉ + 1) (m + 1 + C) F + f W + C (W + C) + (f + m + 1 + C) C + (C + 1) max(F, M, C)) bytes,
 *   F, M and W being f, m and m + 1 rounded up to 4, C tokens a chunk
 */
export function lowRankPullCausal(at: usize, scratch: usize, worker: i32, workers: i32): void {
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
  const befores = <usize>load<u32>(at, 84);
  const behinds = <usize>load<u32>(at, 88);
  const gRow = <usize>load<u32>(at, 108);
  const tRow = <usize>load<u32>(at, 128);
  const weights = <usize>load<u32>(at, 132);
  const divided = load<i32>(at, 136) != 0;
  const eps = load<f32>(at, 140);
  const ofQueries = load<u32>(at, 144) != 0;
  const dqRow = <usize>load<u32>(at, 160);
  const ofKeys = load<u32>(at, 164) != 0;
  const dkRow = <usize>load<u32>(at, 180);
  const ofValues = load<u32>(at, 184) != 0;
  const dvRow = <usize>load<u32>(at, 196);
  const ofStates = <usize>load<u32>(at, 200);

  const width = padded(m);
  const features = padded(f);
  const wide = max(max(width, features), CHUNK);
  const fRow = bytes(features);
  const rRow = bytes(padded(m + 1));
  const eRow = bytes(CHUNK);
  const hRow = rRow + eRow;
  const turnedSize = <usize>(m + 1) * fRow;
  const chunkSize = turnedSize + <usize>CHUNK * fRow;
  const before = scratch; // Sᵀ before each chunk, and its keys below
  const turnedR = before + <usize>((block + CHUNK - 1) / CHUNK) * chunkSize;
  const ofWeights = turnedR + <usize>m * fRow;
  const queries = turnedR + turnedSize;
  const behind = queries + <usize>CHUNK * fRow; // R
  const rowsOf = behind + <usize>f * rRow; // H, and tril(H Ṽᵀ) behind it
  const products = rowsOf + bytes(m + 1);
  const turnedV = rowsOf + <usize>CHUNK * hRow; // Ṽᵀ
  const ones = turnedV + <usize>m * eRow;
  const turnedQ = ones + eRow;
  const scores = turnedQ + <usize>f * eRow;
  const zeros = scores + <usize>CHUNK * eRow;
  const x = zeros + bytes(wide);
  memory.fill(zeros, 0, bytes(wide));
  for (let i = 0; i < CHUNK; i++) store<f32>(ones + bytes(i), 1);

  const blocks = max(1, (n + block - 1) / block);
  const size = bytes(f * (m + 1));
  const units = b * h * blocks;
  const last = first(units, worker + 1, workers);
  for (let unit = first(units, worker, workers); unit < last; unit++) {
    const place = unit % blocks;
    const begin = place * block;
    const end = min(n, begin + block);
    const chunks = (end - begin + CHUNK - 1) / CHUNK;
    const head = unit / blocks;
    const v = headOf(at + 68, head, h);
    const dv = headOf(at + 184, head, h);
    for (let l = 0; l < r; l++) {
      const map = head * r + l;
      const q = mapOf(at + 28, map, h, r);
      const k = mapOf(at + 48, map, h, r);
      const g = mapOf(at + 92, map, h, r);
      const t = mapOf(at + 112, map, h, r);
      const dq = mapOf(at + 144, map, h, r);
      const dk = mapOf(at + 164, map, h, r);
      const state = <usize>(map * blocks + place) * size;

      if (ofQueries) {
        if (befores) transpose(before, fRow, befores + state, bytes(m + 1), f, m + 1);
        else memory.fill(before, 0, turnedSize);
        let here = before;
        for (let i = begin; i < end; i += CHUNK) {
          const keys = here + turnedSize;
          padRows(keys, fRow, k + <usize>i * kRow, kRow, min(CHUNK, end - i), f);
          if (i + CHUNK >= end) break;
          const next = here + chunkSize;
          memory.copy(next, here, turnedSize);
          addOuter(next, fRow, v + <usize>i * vRow, vRow, keys, fRow, CHUNK, m, features);
          addWeighted(next + <usize>m * fRow, keys, fRow, ones, CHUNK, features);
          here = next;
        }
      }

      if (behinds) transpose(turnedR, fRow, behinds + state, bytes(m + 1), f, m + 1);
      else memory.fill(turnedR, 0, turnedSize);
      for (let chunk = chunks - 1; chunk >= 0; chunk--) {
        const i = begin + chunk * CHUNK;
        const rows = min(CHUNK, end - i);
        const keys = k + <usize>i * kRow;
        const values = v + <usize>i * vRow;
        const ct = g + <usize>i * gRow;
        padRows(queries, fRow, q + <usize>i * qRow, qRow, rows, f);
        if (divided) {
          const sums = weights + bytes(map * n + i);
          const read = t + <usize>i * tRow;
          pullDivision(rowsOf, hRow, rowsOf + bytes(m), hRow, scores, ct, gRow, read, tRow, sums, eps, rows, m);
        } else {
          copyRows(rowsOf, hRow, ct, gRow, rows, m);
          for (let p = 0; p < rows; p++) store<f32>(rowsOf + <usize>p * hRow + bytes(m), 0);
        }
        if (ofQueries || ofKeys) {
          transpose(turnedV, eRow, values, vRow, rows, m);
          scoresWithin(products, hRow, rowsOf, hRow, turnedV, zeros, rows, m + 1, false);
        }
        if (ofQueries) {
          const whole = features == f;
          const to = dq + <usize>i * dqRow;
          const seen = before + <usize>chunk * chunkSize;
          product(whole ? to : x, whole ? dqRow : fRow, zeros, 0, rowsOf, hRow, seen, fRow, rows, m + 1 + rows, features);
          if (!whole) copyRows(to, dqRow, x, fRow, rows, f);
        }
        if (ofKeys) {
          const whole = features == f;
          const to = dk + <usize>i * dkRow;
          const out = whole ? to : x;
          const outRow = whole ? dkRow : fRow;
          product(out, outRow, ofWeights, 0, values, vRow, turnedR, fRow, rows, m, features);
          addOuter(out, outRow, products, hRow, queries, fRow, rows, rows, features);
          if (!whole) copyRows(to, dkRow, x, fRow, rows, f);
        }
        if (ofValues) {
          transpose(behind, rRow, turnedR, fRow, m + 1, f);
          transpose(turnedQ, eRow, queries, fRow, rows, f);
          scoresWithin(scores, eRow, keys, kRow, turnedQ, zeros, rows, f, true);
          const whole = width == m;
          const to = dv + <usize>i * dvRow;
          const out = whole ? to : x;
          const outRow = whole ? dvRow : bytes(width);
          if (!whole && l > 0) padRows(x, outRow, to, dvRow, rows, m);
          product(out, outRow, l > 0 ? out : zeros, l > 0 ? outRow : 0, keys, kRow, behind, rRow, rows, f, width);
          product(out, outRow, out, outRow, scores, eRow, rowsOf, hRow, rows, rows, width);
          if (!whole) copyRows(to, dvRow, x, outRow, rows, m);
        }
        if (chunk > 0 || (ofStates && begin == 0)) {
          addOuter(turnedR, fRow, rowsOf, hRow, queries, fRow, rows, m + 1, features);
        }
      }
      if (ofStates && begin == 0) {
        transpose(behind, rRow, turnedR, fRow, m + 1, f);
        copyRows(ofStates + <usize>map * size, bytes(m + 1), behind, rRow, f, m + 1);
      }
    }
  }
}
