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
  touch,
} from "./low-rank-tile";
import { first } from "./share";

// Low-rank attention behind its feature maps, in three steps: S = Σ_j φk_j [v_j, 1]ᵀ in parts, their sum, and what
// queries read from it, x_i = Sᵀ φq_i. The weights, column m + 1 of S, are kept apart in scratch, so that the values
// are whole vectors.

/** Tokens that are worked on at a time. From cold caches 32 were faster than 64; not so in the pullback. */
// @ts-ignore: decorator
@inline
const CHUNK: i32 = 32;

/**
 * The states of blocks of tokens, Σ_j φk_j [v_j, 1]ᵀ over each:
 * words: 0 b · 1 h · 2 r · 3 n · 4 f · 5 m · 6 tokens of a block ·
 *   7 φk (b, h, r, n, f) · 8 its strides of batch · 9 head · 10 map · 11 row ·
 *   12 v (b, h, n, m) · 13 its strides of batch · 14 head · 15 row ·
 *   16 partials (b, h, r, ⌈n / tokens⌉, f, m + 1), contiguous
 * scratch: 4 (f M + F + 32 + 32 M) bytes, F and M being f and m rounded up to 4
 */
export function lowRankState(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const b = load<i32>(at);
  const h = load<i32>(at, 4);
  const r = load<i32>(at, 8);
  const n = load<i32>(at, 12);
  const f = load<i32>(at, 16);
  const m = load<i32>(at, 20);
  const block = load<i32>(at, 24);
  const kRow = <usize>load<u32>(at, 44);
  const vRow = <usize>load<u32>(at, 60);
  const partials = <usize>load<u32>(at, 64);

  const width = padded(m);
  const sRow = bytes(width);
  const s = scratch;
  const z = s + <usize>f * sRow;
  const ones = z + bytes(padded(f));
  const values = ones + bytes(CHUNK);
  for (let i = 0; i < CHUNK; i++) store<f32>(ones + bytes(i), 1);

  const blocks = (n + block - 1) / block;
  const units = b * h * r * blocks;
  const last = first(units, worker + 1, workers);
  for (let unit = first(units, worker, workers); unit < last; unit++) {
    const begin = (unit % blocks) * block;
    const end = min(n, begin + block);
    const map = unit / blocks;
    const k = mapOf(at + 28, map, h, r);
    const v = headOf(at + 48, map / r, h);
    memory.fill(s, 0, <usize>f * sRow + bytes(padded(f)));
    for (let i = begin; i < end; i += CHUNK) {
      const rows = min(CHUNK, end - i);
      const keys = k + <usize>i * kRow;
      let from = v + <usize>i * vRow;
      let fromRow = vRow;
      if (kRow > bytes(f)) touch(values, k, kRow, i, i + rows, f);
      if (vRow > bytes(m)) touch(values, v, vRow, i, i + rows, m);
      if (width != m) {
        padRows(values, sRow, from, vRow, rows, m);
        from = values;
        fromRow = sRow;
      }
      addWeighted(z, keys, kRow, ones, rows, f);
      addOuter(s, sRow, keys, kRow, from, fromRow, rows, f, width);
    }
    joinState(partials + <usize>unit * bytes(f * (m + 1)), s, z, f, m);
  }
}

/**
 * The sum of the parts of each state in their order, from an initial state on. The sum is kept in float64.
 * words: 0 partials (states, parts, size) · 1 initial states (states, size) or 0 · 2 sums (states, size) ·
 *   3 states · 4 parts of a state · 5 size of a state
 * scratch: none
 */
export function lowRankStateSum(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const partials = <usize>load<u32>(at);
  const initial = <usize>load<u32>(at, 4);
  const sums = <usize>load<u32>(at, 8);
  const states = load<i32>(at, 12);
  const parts = load<i32>(at, 16);
  const size = load<i32>(at, 20);
  const stride = bytes(size);

  const pieces = (size + PIECE - 1) / PIECE;
  const units = states * pieces;
  const last = first(units, worker + 1, workers);
  for (let unit = first(units, worker, workers); unit < last; unit++) {
    const state = unit / pieces;
    const begin = (unit % pieces) * PIECE;
    const end = min(size, begin + PIECE);
    const from = partials + <usize>state * <usize>parts * stride;
    const offset = <usize>state * stride;
    let i = begin;
    for (; i + 4 <= end; i += 4) {
      let low = f64x2.splat(0);
      let high = low;
      if (initial) {
        const x = v128.load(initial + offset + bytes(i));
        low = f64x2.promote_low_f32x4(x);
        high = f64x2.promote_low_f32x4(upper(x));
      }
      let part = from + bytes(i);
      for (let p = 0; p < parts; p++) {
        const x = v128.load(part);
        low = f64x2.add(low, f64x2.promote_low_f32x4(x));
        high = f64x2.add(high, f64x2.promote_low_f32x4(upper(x)));
        part += stride;
      }
      v128.store(sums + offset + bytes(i), joined(low, high));
    }
    for (; i < end; i++) {
      let sum: f64 = initial ? <f64>load<f32>(initial + offset + bytes(i)) : 0;
      let part = from + bytes(i);
      for (let p = 0; p < parts; p++) {
        sum += <f64>load<f32>(part);
        part += stride;
      }
      store<f32>(sums + offset + bytes(i), <f32>sum);
    }
  }
}

// Numbers of a state that one worker sums.
// @ts-ignore: decorator
@inline
const PIECE: i32 = 256;

// @ts-ignore: decorator
@inline
export function upper(x: v128): v128 {
  return i8x16.shuffle(x, x, 8, 9, 10, 11, 12, 13, 14, 15, 8, 9, 10, 11, 12, 13, 14, 15);
}

/** Four float64 numbers as float32. */
// @ts-ignore: decorator
@inline
export function joined(low: v128, high: v128): v128 {
  return i8x16.shuffle(
    f32x4.demote_f64x2_zero(low),
    f32x4.demote_f64x2_zero(high),
    0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23,
  );
}

/**
 * What queries read from the states, x_i = Sᵀ φq_i: their weights x_{i,m+1}, and the terms
 * t_i = x_{i,1:m} / (max(x_{i,m+1}, 0) + ε), 0 where that divisor is 0, or x_{i,1:m} as they are.
 * words: 0 b · 1 h · 2 r · 3 n · 4 f · 5 m · 6 tokens of a block ·
 *   7 φq (b, h, r, n, f) · 8 its strides of batch · 9 head · 10 map · 11 row ·
 *   12 S (b, h, r, f, m + 1), contiguous ·
 *   13 t (b, h, r, n, m) · 14 its strides of batch · 15 head · 16 map · 17 row ·
 *   18 weights (b, h, r, n), contiguous, or 0 · 19 whether to divide · 20 ε
 * scratch: 4 (f M + F + M + 32 + 32 M) bytes, F and M being f and m rounded up to 4
 */
export function lowRankRead(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const b = load<i32>(at);
  const h = load<i32>(at, 4);
  const r = load<i32>(at, 8);
  const n = load<i32>(at, 12);
  const f = load<i32>(at, 16);
  const m = load<i32>(at, 20);
  const block = load<i32>(at, 24);
  const qRow = <usize>load<u32>(at, 44);
  const states = <usize>load<u32>(at, 48);
  const tRow = <usize>load<u32>(at, 68);
  const weights = <usize>load<u32>(at, 72);
  const divides = load<i32>(at, 76) != 0;
  const eps = load<f32>(at, 80);

  const width = padded(m);
  const sRow = bytes(width);
  const s = scratch;
  const z = s + <usize>f * sRow;
  const zeros = z + bytes(padded(f));
  const w = zeros + sRow;
  const x = w + bytes(CHUNK);
  memory.fill(zeros, 0, sRow);

  const blocks = (n + block - 1) / block;
  const units = b * h * r * blocks;
  const last = first(units, worker + 1, workers);
  let present = -1;
  for (let unit = first(units, worker, workers); unit < last; unit++) {
    const begin = (unit % blocks) * block;
    const end = min(n, begin + block);
    const map = unit / blocks;
    const q = mapOf(at + 28, map, h, r);
    const t = mapOf(at + 52, map, h, r);
    if (map != present) splitState(states + <usize>map * bytes(f * (m + 1)), s, z, f, m);
    present = map;
    for (let i = begin; i < end; i += CHUNK) {
      const rows = min(CHUNK, end - i);
      const queries = q + <usize>i * qRow;
      const sums = weights ? weights + bytes(map * n + i) : w;
      const terms = t + <usize>i * tRow;
      if (qRow > bytes(f)) touch(x, q, qRow, i, i + rows, f);
      if (divides || weights) dots(sums, queries, qRow, z, 0, rows, f);
      if (!divides && width == m) {
        product(terms, tRow, zeros, 0, queries, qRow, s, sRow, rows, f, width);
        continue;
      }
      product(x, sRow, zeros, 0, queries, qRow, s, sRow, rows, f, width);
      if (!divides) copyRows(terms, tRow, x, sRow, rows, m);
      else {
        for (let p = 0; p < rows; p++) {
          divideRow(terms + <usize>p * tRow, x + <usize>p * sRow, divisor(load<f32>(sums + bytes(p)), eps), m);
        }
      }
    }
  }
}

/** Where feature map number `map` of all b·h·r begins in a view: address, strides of batch, head, map. */
export function mapOf(view: usize, map: i32, h: i32, r: i32): usize {
  return headOf(view, map / r, h) + <usize>(map % r) * <usize>load<u32>(view, 12);
}

/** Where head number `head` of all b·h begins in a view: address, strides of batch, head. */
export function headOf(view: usize, head: i32, h: i32): usize {
  return (
    <usize>load<u32>(view) +
    <usize>(head / h) * <usize>load<u32>(view, 4) +
    <usize>(head % h) * <usize>load<u32>(view, 8)
  );
}

/** A state (f, m + 1) from its values (f, m padded) and weights (f). */
export function joinState(state: usize, s: usize, z: usize, f: i32, m: i32): void {
  const row = bytes(m + 1);
  copyRows(state, row, s, bytes(padded(m)), f, m);
  for (let a = 0; a < f; a++) store<f32>(state + <usize>a * row + bytes(m), load<f32>(z + bytes(a)));
}

/** The values (f, m padded with zeros) and weights (f) of a state (f, m + 1). */
export function splitState(state: usize, s: usize, z: usize, f: i32, m: i32): void {
  const row = bytes(m + 1);
  padRows(s, bytes(padded(m)), state, row, f, m);
  for (let a = 0; a < f; a++) store<f32>(z + bytes(a), load<f32>(state + <usize>a * row + bytes(m)));
}
