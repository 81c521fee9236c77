import {
  addBias,
  blockOf,
  drop,
  exp2,
  gatherRows,
  hide,
  keeps,
  keptOf,
  LANES,
  LOG2E,
  ROWS,
  turn,
  writeRow,
} from "./full-attention";
import { headOf } from "./low-rank-field";
import { addOuter, bytes, dots, padded, product } from "./low-rank-tile";
import { first } from "./share";

// p_ij = e^{t_ij − L_i} again from the logits; ds_ij = p_ij (g_i·v_j − D_i) with D_i = g_i·o_i;
// dq_i = scale Σ_j ds_ij k_j, dk_j = scale Σ_i ds_ij q_i, dv_j = Σ_i p_ij g_i.
// With dropout z, g_i·v_j and the p_ij of dv_j are multiplied by z_ij.

/**
 * D_i = g_i·o_i, the first step of the pullback:
 * words: 0 b · 1 h · 2 n · 3 m ·
 *   4 g (b, h, n, m) · 5 its strides of batch · 6 head · 7 row ·
 *   8 o (b, h, n, m) · 9 its strides of batch · 10 head · 11 row ·
 *   12 D (b, h, n), contiguous
 * scratch: none
 */
export function fullAttentionDots(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const h = load<i32>(at, 4);
  const n = load<i32>(at, 8);
  const m = load<i32>(at, 12);
  const gRow = <usize>load<u32>(at, 28);
  const oRow = <usize>load<u32>(at, 44);
  const blocks = (n + ROWS - 1) / ROWS;
  const units = load<i32>(at) * h * blocks;
  const last = first(units, worker + 1, workers);
  for (let unit = first(units, worker, workers); unit < last; unit++) {
    const head = unit / blocks;
    const i = (unit % blocks) * ROWS;
    const g = headOf(at + 16, head, h) + <usize>i * gRow;
    const o = headOf(at + 32, head, h) + <usize>i * oRow;
    dots(<usize>load<u32>(at, 48) + bytes(head * n + i), g, gRow, o, oRow, min(ROWS, n - i), m);
  }
}

/** L in units of log₂; ∞ instead of −∞ and where there is no query, so that e^{t − L} is 0. */
// @ts-ignore: decorator
@inline
function shiftsOf(to: usize, logSumExp: usize, present: i32, size: i32): void {
  for (let i = 0; i < size; i++) {
    const value: f32 = i < present ? load<f32>(logSumExp + bytes(i)) : -Infinity;
    store<f32>(to + bytes(i), value == -Infinity ? Infinity : value * LOG2E);
  }
}

/** ds = p · (products − D), for one vector. */
// @ts-ignore: decorator
@inline
function pulled(p: usize, products: usize, ofRow: v128): v128 {
  return f32x4.mul(v128.load(p), f32x4.sub(v128.load(products), ofRow));
}

/** Logits to ds, given the products g_i·v_j, for tiles with a row for each key. */
function pullLanes(s: usize, products: usize, count: i32, lanes: i32, shifts: usize, ofRows: usize): void {
  const row = bytes(LANES);
  const end = s + <usize>count * row;
  const apart = products - s;
  for (let x: usize = 0; x < bytes(lanes); x += 64) {
    const shift = shifts + x;
    const ofRow = ofRows + x;
    for (let at = s + x; at < end; at += row) {
      exp2(at, v128.load(shift), v128.load(shift, 16), v128.load(shift, 32), v128.load(shift, 48));
      const by = at + apart;
      v128.store(at, pulled(at, by, v128.load(ofRow)));
      v128.store(at, pulled(at + 16, by + 16, v128.load(ofRow, 16)), 16);
      v128.store(at, pulled(at + 32, by + 32, v128.load(ofRow, 32)), 32);
      v128.store(at, pulled(at + 48, by + 48, v128.load(ofRow, 48)), 48);
    }
  }
}

/** Logits to p, and the products g_i·v_j to ds, for tiles with a row for each query. */
function pullRows(s: usize, products: usize, count: i32, shifts: usize, ofRows: usize): void {
  const apart = products - s;
  for (let r = 0; r < count; r++) {
    const shift = v128.load32_splat(shifts + bytes(r));
    const ofRow = v128.load32_splat(ofRows + bytes(r));
    for (const end = s + bytes(LANES); s < end; s += 64) {
      exp2(s, shift, shift, shift, shift);
      const by = s + apart;
      v128.store(by, pulled(s, by, ofRow));
      v128.store(by, pulled(s + 16, by + 16, ofRow), 16);
      v128.store(by, pulled(s + 32, by + 32, ofRow), 32);
      v128.store(by, pulled(s + 48, by + 48, ofRow), 48);
    }
  }
}

/**
 * The cotangents of queries, and of the logits where bias needs them:
 * words: 0 … 18 as of fullAttention ·
 *   19 g (b, h, n, m) · 20 its strides of batch · 21 head · 22 row ·
 *   23 L (b, h, n) · 24 mask · 25 … 30 as of fullAttention ·
 *   31 D (b, h, n), contiguous ·
 *   32 dq (b, h, n, d) or 0 · 33 its strides of batch · 34 head · 35 row ·
 *   36 ds (b, h, n, n), contiguous, or 0 ·
 *   37 dropped (b, h, n, n), bytes, contiguous, or 0 · 38 1 / (1 − rate)
 * scratch: 4 (32 (d + m) + 2·64·32 + 96 D + 64 M + 160) bytes, D and M being d and m rounded up to 4
 */
export function fullAttentionPullQueries(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const h = load<i32>(at, 4);
  const n = load<i32>(at, 8);
  const d = load<i32>(at, 12);
  const m = load<i32>(at, 16);
  const causal = load<i32>(at, 20) != 0;
  const scale = load<f32>(at, 24);
  const qRow = <usize>load<u32>(at, 40);
  const kRow = <usize>load<u32>(at, 56);
  const vRow = <usize>load<u32>(at, 72);
  const gRow = <usize>load<u32>(at, 88);
  const hasBias = load<u32>(at, 104) != 0;
  const ofQueries = load<u32>(at, 128) != 0;
  const dqRow = <usize>load<u32>(at, 140);
  const ofLogits = <usize>load<u32>(at, 144);
  const dropped = <usize>load<u32>(at, 148);

  const features = padded(d);
  const qt = scratch;
  const gt = qt + <usize>d * bytes(LANES);
  const s = gt + <usize>m * bytes(LANES);
  const products = s + bytes(ROWS * LANES);
  const dq = products + bytes(ROWS * LANES);
  const keys = dq + bytes(LANES * features);
  const values = keys + bytes(ROWS * features);
  const positions = values + bytes(ROWS * padded(m));
  const shifts = positions + bytes(ROWS);
  const ofRows = shifts + bytes(LANES);
  const zeros = ofRows + bytes(LANES);
  memory.fill(zeros, 0, bytes(LANES));

  const blocks = (n + LANES - 1) / LANES;
  const units = load<i32>(at) * h * blocks;
  const last = first(units, worker + 1, workers);
  for (let unit = first(units, worker, workers); unit < last; unit++) {
    const head = unit / blocks;
    const begin = blockOf(unit, blocks) * LANES;
    const present = min(LANES, n - begin);
    const lanes = (present + 15) & ~15;
    const k = headOf(at + 44, head, h);
    const v = headOf(at + 60, head, h);
    const mask = load<u32>(at, 96) ? <usize>load<u32>(at, 96) + <usize>(head / h) * <usize>load<u32>(at, 100) : 0;
    const place = bytes(head * n + begin);
    turn(qt, headOf(at + 28, head, h) + <usize>begin * qRow, qRow, present, d, scale * LOG2E);
    turn(gt, headOf(at + 76, head, h) + <usize>begin * gRow, gRow, present, m, 1);
    shiftsOf(shifts, <usize>load<u32>(at, 92) + place, present, LANES);
    memory.fill(ofRows, 0, bytes(LANES));
    memory.copy(ofRows, <usize>load<u32>(at, 124) + place, bytes(present));
    memory.fill(dq, 0, bytes(LANES * features));
    const ds = ofLogits + place * <usize>n;
    if (ofLogits) memory.fill(ds, 0, bytes(present) * <usize>n);

    const end = causal ? begin + present : n;
    for (let j = 0; j < end; j += ROWS) {
      const until = min(end, j + ROWS);
      const count = keptOf(mask, j, until, positions);
      if (!count) continue;
      const whole = count == until - j;
      let fromKeys = k + <usize>j * kRow;
      let keyRow = kRow;
      if (!whole || features != d) {
        gatherRows(keys, k, kRow, positions, count, d);
        fromKeys = keys;
        keyRow = bytes(features);
      }
      let fromValues = v + <usize>j * vRow;
      let valueRow = vRow;
      if (!whole) {
        gatherRows(values, v, vRow, positions, count, m);
        fromValues = values;
        valueRow = bytes(padded(m));
      }
      product(s, bytes(LANES), zeros, 0, fromKeys, keyRow, qt, bytes(LANES), count, d, lanes);
      product(products, bytes(LANES), zeros, 0, fromValues, valueRow, gt, bytes(LANES), count, m, lanes);
      if (hasBias) {
        const queryStride = <usize>load<u32>(at, 116);
        const bias = headOf(at + 104, head, h) + <usize>begin * queryStride;
        addBias(s, bias, <usize>load<u32>(at, 120), queryStride, positions, count, present);
      }
      if (causal && until > begin + 1) hide(s, positions, count, begin, true);
      if (dropped) {
        const ofBlock = dropped + <usize>(head * n + begin) * n;
        drop(products, ofBlock, 1, n, positions, count, present, load<f32>(at, 152));
      }
      pullLanes(s, products, count, lanes, shifts, ofRows);
      if (ofQueries) {
        addOuter(dq, bytes(features), s, bytes(LANES), fromKeys, keyRow, count, padded(present), features);
      }
      if (ofLogits) {
        for (let r = 0; r < count; r++) {
          const to = ds + bytes(load<i32>(positions + bytes(r)));
          const from = s + bytes(r * LANES);
          for (let i = 0; i < present; i++) store<f32>(to + bytes(i) * <usize>n, load<f32>(from + bytes(i)));
        }
      }
    }

    if (!ofQueries) continue;
    const to = headOf(at + 128, head, h) + <usize>begin * dqRow;
    for (let i = 0; i < present; i++) writeRow(to + <usize>i * dqRow, dq + bytes(i * features), d, scale);
  }
}

/**
 * The cotangents of keys and values, 0 where the mask hides a token:
 * words: 0 … 18 as of fullAttention ·
 *   19 g (b, h, n, m) · 20 its strides of batch · 21 head · 22 row ·
 *   23 L (b, h, n) · 24 mask · 25 … 30 as of fullAttention ·
 *   31 D (b, h, n), contiguous ·
 *   32 dk (b, h, n, d) or 0 · 33 its strides of batch · 34 head · 35 row ·
 *   36 dv (b, h, n, m) or 0 · 37 its strides of batch · 38 head · 39 row ·
 *   40 dropped (b, h, n, n), bytes, contiguous, or 0 · 41 1 / (1 − rate)
 * scratch: 4 (32 (d + m) + 2·64·32 + 96 (D + M) + 160) bytes, D and M being d and m rounded up to 4
 */
export function fullAttentionPullKeys(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const h = load<i32>(at, 4);
  const n = load<i32>(at, 8);
  const d = load<i32>(at, 12);
  const m = load<i32>(at, 16);
  const causal = load<i32>(at, 20) != 0;
  const scale = load<f32>(at, 24);
  const qRow = <usize>load<u32>(at, 40);
  const kRow = <usize>load<u32>(at, 56);
  const vRow = <usize>load<u32>(at, 72);
  const gRow = <usize>load<u32>(at, 88);
  const hasBias = load<u32>(at, 104) != 0;
  const ofKeys = load<u32>(at, 128) != 0;
  const dkRow = <usize>load<u32>(at, 140);
  const ofValues = load<u32>(at, 144) != 0;
  const dvRow = <usize>load<u32>(at, 156);
  const dropped = <usize>load<u32>(at, 160);
  const kept = load<f32>(at, 164);

  const features = padded(d);
  const width = padded(m);
  const kt = scratch;
  const vt = kt + <usize>d * bytes(LANES);
  const s = vt + <usize>m * bytes(LANES);
  const products = s + bytes(ROWS * LANES);
  const dk = products + bytes(ROWS * LANES);
  const dv = dk + bytes(LANES * features);
  const queries = dv + bytes(LANES * width);
  const cotangents = queries + bytes(ROWS * features);
  const positions = cotangents + bytes(ROWS * width);
  const shifts = positions + bytes(ROWS);
  const zeros = shifts + bytes(ROWS);
  memory.fill(zeros, 0, bytes(LANES));

  const blocks = (n + LANES - 1) / LANES;
  const units = load<i32>(at) * h * blocks;
  const last = first(units, worker + 1, workers);
  for (let unit = first(units, worker, workers); unit < last; unit++) {
    const head = unit / blocks;
    const begin = blockOf(unit, blocks) * LANES;
    const present = min(LANES, n - begin);
    const q = headOf(at + 28, head, h);
    const g = headOf(at + 76, head, h);
    const mask = load<u32>(at, 96) ? <usize>load<u32>(at, 96) + <usize>(head / h) * <usize>load<u32>(at, 100) : 0;
    turn(kt, headOf(at + 44, head, h) + <usize>begin * kRow, kRow, present, d, scale * LOG2E);
    turn(vt, headOf(at + 60, head, h) + <usize>begin * vRow, vRow, present, m, 1);
    memory.fill(dk, 0, bytes(LANES * (features + width)));

    // What a hidden key holds stays in its lane, of which nothing is written.
    for (let i = causal ? begin : 0; i < n; i += ROWS) {
      const count = keptOf(0, i, min(n, i + ROWS), positions);
      const place = bytes(head * n + i);
      let fromQueries = q + <usize>i * qRow;
      let queryRow = qRow;
      if (features != d) {
        gatherRows(queries, q, qRow, positions, count, d);
        fromQueries = queries;
        queryRow = bytes(features);
      }
      let fromCotangents = g + <usize>i * gRow;
      let cotangentRow = gRow;
      if (width != m) {
        gatherRows(cotangents, g, gRow, positions, count, m);
        fromCotangents = cotangents;
        cotangentRow = bytes(width);
      }
      product(s, bytes(LANES), zeros, 0, fromQueries, queryRow, kt, bytes(LANES), count, d, LANES);
      if (hasBias) {
        const keyStride = <usize>load<u32>(at, 120);
        const bias = headOf(at + 104, head, h) + <usize>begin * keyStride;
        addBias(s, bias, <usize>load<u32>(at, 116), keyStride, positions, count, present);
      }
      if (causal && i < begin + present) hide(s, positions, count, begin, false);
      product(products, bytes(LANES), zeros, 0, fromCotangents, cotangentRow, vt, bytes(LANES), count, m, LANES);
      shiftsOf(shifts, <usize>load<u32>(at, 92) + place, count, count);
      const ofBlock = dropped + <usize>(head * n) * n + begin;
      if (dropped) drop(products, ofBlock, n, 1, positions, count, present, kept);
      pullRows(s, products, count, shifts, <usize>load<u32>(at, 124) + place);
      const lanes = padded(present);
      if (ofKeys) {
        addOuter(dk, bytes(features), products, bytes(LANES), fromQueries, queryRow, count, lanes, features);
      }
      if (ofValues) {
        if (dropped) drop(s, ofBlock, n, 1, positions, count, present, kept);
        addOuter(dv, bytes(width), s, bytes(LANES), fromCotangents, cotangentRow, count, lanes, width);
      }
    }

    const toKeys = headOf(at + 128, head, h) + <usize>begin * dkRow;
    const toValues = headOf(at + 144, head, h) + <usize>begin * dvRow;
    for (let j = 0; j < present; j++) {
      const kept = !mask || keeps(mask, begin + j);
      if (ofKeys) {
        const to = toKeys + <usize>j * dkRow;
        if (kept) writeRow(to, dk + bytes(j * features), d, scale);
        else memory.fill(to, 0, bytes(d));
      }
      if (ofValues) {
        const to = toValues + <usize>j * dvRow;
        if (kept) writeRow(to, dv + bytes(j * width), m, 1);
        else memory.fill(to, 0, bytes(m));
      }
    }
  }
}
