import { headOf } from "./low-rank-field";
import { bytes, dots, mulAdd, padded, padRows, touch, transpose } from "./low-rank-tile";
import {
  BLOCK,
  clearRows,
  copyShown,
  drop,
  exponentials,
  GROUP,
  hide,
  KEYS_ROW,
  REACH,
  scores,
  shows,
  sumKeys,
  sumQueries,
  TILE,
  TILE_ROW,
  turnByFours,
} from "./near-field-tile";
import { first } from "./share";

// p_ij = e^{t_ij − L_i} again from the logits; ds_ij = p_ij (g_i·v_j − D_i) with D_i = g_i·o_i = Σ_j p_ij g_i·v_j;
// dq_i = scale Σ_j ds_ij k_j, dk_j = scale Σ_i ds_ij q_i, dv_j = Σ_i p_ij g_i, dbias_t = Σ_i ds_{i, i − left + t}.
// With dropout z, g_i·v_j and the p_ij of dv_j are multiplied by z_ij.
// A unit of work writes the cotangents of the tokens of a segment, so it goes over the queries that reach its keys: its
// own, and some of its neighbours on either side.

/** L of the rows of a block, ∞ instead of −∞ and behind the last, so that e^{t − L} is 0. */
function shiftsOf(to: usize, logSumExp: usize, rows: i32): void {
  const infinite = f32x4.splat(Infinity);
  for (let x: usize = 0; x < bytes(BLOCK); x += 16) v128.store(to + x, infinite);
  memory.copy(to, logSumExp, bytes(rows));
  for (let x: usize = 0; x < bytes(BLOCK); x += 16) {
    const l = v128.load(to + x);
    v128.store(to + x, v128.bitselect(infinite, l, f32x4.eq(l, f32x4.splat(-Infinity))));
  }
}

/** The inverse of a sum near 1; finite where there is nothing to sum. */
// @ts-ignore: decorator
@inline
function inverse(sum: v128): v128 {
  return f32x4.div(f32x4.splat(1), f32x4.pmax(sum, f32x4.splat(1e-30)));
}

/** Weights from p, and ds from g·v in place. */
// @ts-ignore: decorator
@inline
function pulled(p: usize, products: usize, factor: v128, ofRow: v128): void {
  const weight = f32x4.mul(v128.load(p), factor);
  v128.store(p, weight);
  v128.store(products, f32x4.mul(weight, f32x4.sub(v128.load(products), ofRow)));
}

/**
 * Logits to p and products g_i·v_j to ds. Where a row is here as a `whole`, p is divided by its sum, which is 1 but for
 * the rounding of L, coarse where logits are large; and D is found here, so that nobody has to read o. Else `ofRows` are
 * the D.
 */
function pull(s: usize, products: usize, count: i32, lanes: i32, shifts: usize, ofRows: usize, whole: bool): void {
  const end = s + <usize>count * TILE_ROW;
  const apart = products - s;
  for (let x: usize = 0; x < bytes(lanes); x += 64, shifts += 64, ofRows += 64) {
    const shiftA = v128.load(shifts);
    const shiftB = v128.load(shifts, 16);
    const shiftC = v128.load(shifts, 32);
    const shiftD = v128.load(shifts, 48);
    for (let at = s + x; at < end; at += TILE_ROW) exponentials(at, shiftA, shiftB, shiftC, shiftD);
    let a = f32x4.splat(1);
    let b = a;
    let c = a;
    let d = a;
    if (whole) {
      a = f32x4.splat(0);
      b = a;
      c = a;
      d = a;
      let ofA = a;
      let ofB = a;
      let ofC = a;
      let ofD = a;
      for (let at = s + x; at < end; at += TILE_ROW) {
        let p = v128.load(at);
        a = f32x4.add(a, p);
        ofA = mulAdd(ofA, p, v128.load(at + apart));
        p = v128.load(at, 16);
        b = f32x4.add(b, p);
        ofB = mulAdd(ofB, p, v128.load(at + apart, 16));
        p = v128.load(at, 32);
        c = f32x4.add(c, p);
        ofC = mulAdd(ofC, p, v128.load(at + apart, 32));
        p = v128.load(at, 48);
        d = f32x4.add(d, p);
        ofD = mulAdd(ofD, p, v128.load(at + apart, 48));
      }
      a = inverse(a);
      b = inverse(b);
      c = inverse(c);
      d = inverse(d);
      v128.store(ofRows, f32x4.mul(ofA, a));
      v128.store(ofRows, f32x4.mul(ofB, b), 16);
      v128.store(ofRows, f32x4.mul(ofC, c), 32);
      v128.store(ofRows, f32x4.mul(ofD, d), 48);
    }
    const dA = v128.load(ofRows);
    const dB = v128.load(ofRows, 16);
    const dC = v128.load(ofRows, 32);
    const dD = v128.load(ofRows, 48);
    for (let at = s + x; at < end; at += TILE_ROW) {
      pulled(at, at + apart, a, dA);
      pulled(at + 16, at + apart + 16, b, dB);
      pulled(at + 32, at + apart + 32, c, dC);
      pulled(at + 48, at + apart + 48, d, dD);
    }
  }
}

/** Add the sums of the rows of a tile. */
function addRowSums(to: usize, tile: usize, count: i32, lanes: i32): void {
  for (const end = to + bytes(count); to < end; to += 4, tile += TILE_ROW) {
    let sum = f32x4.splat(0);
    for (let x: usize = 0; x < bytes(lanes); x += 16) sum = f32x4.add(sum, v128.load(tile + x));
    const low = f32x4.extract_lane(sum, 0) + f32x4.extract_lane(sum, 1);
    const high = f32x4.extract_lane(sum, 2) + f32x4.extract_lane(sum, 3);
    store<f32>(to, load<f32>(to) + (low + high));
  }
}

/**
 * The cotangents of queries, keys and values, those that are wanted, and of the bias in parts; those of masked keys are
 * 0. A unit, one of b · h / heads · ⌈n / segment⌉ of some heads together, takes up to left + right queries of its neighbours again: with segments of
 * max(256, 2 (left + right + 1)) tokens or more that costs less than a tenth. Sums depend on the segment: it must not
 * depend on the number of workers.
 * words: 0 … 19 as of nearField ·
 *   20 o (b, h, n, m), read in windows of more than 64 diagonals · 21 its strides of batch · 22 head · 23 row ·
 *   24 L (b, h, n), contiguous · 25 mask · 26 … 27 as of nearField ·
 *   28 g (b, h, n, m) · 29 its strides of batch · 30 head · 31 row ·
 *   32 dq (b, h, n, d) or 0 · 33 its strides of batch · 34 head · 35 row ·
 *   36 dk (b, h, n, d) or 0 · 37 its strides of batch · 38 head · 39 row ·
 *   40 dv (b, h, n, m) or 0 · 41 its strides of batch · 42 head · 43 row ·
 *   44 parts of dbias (b, h, ⌈n / segment⌉, left + right + 1), contiguous, or 0 · 45 tokens of a segment ·
 *   46 dropped (b, h, n, left + right + 1), bytes, contiguous, or 0 · 47 1 / (1 − rate) ·
 *   48 heads taken together, as of nearField, with those of dk and dv side by side too
 * scratch: 4 (64 (d + m + D + M) + 176 max(d, m) + 257 max(D, M) + 10752) bytes, D and M being d and m rounded up to 4
 */
export function nearFieldPullback(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const h = load<i32>(at, 4);
  const n = load<i32>(at, 8);
  const d = load<i32>(at, 12);
  const m = load<i32>(at, 16);
  const left = load<i32>(at, 20);
  const right = load<i32>(at, 24);
  const slots = left + right + 1;
  const scale = load<f32>(at, 28);
  const qRow = <usize>load<u32>(at, 44);
  const kRow = <usize>load<u32>(at, 60);
  const vRow = <usize>load<u32>(at, 76);
  const oRow = <usize>load<u32>(at, 92);
  const logSumExp = <usize>load<u32>(at, 96);
  const hasBias = load<u32>(at, 108) != 0;
  const gRow = <usize>load<u32>(at, 124);
  const ofQueries = load<u32>(at, 128) != 0;
  const dqRow = <usize>load<u32>(at, 140);
  const ofKeys = load<u32>(at, 144) != 0;
  const dkRow = <usize>load<u32>(at, 156);
  const ofValues = load<u32>(at, 160) != 0;
  const dvRow = <usize>load<u32>(at, 172);
  const parts = <usize>load<u32>(at, 176);
  const segment = load<i32>(at, 180);
  const dropped = <usize>load<u32>(at, 184);
  const kept = load<f32>(at, 188);
  const together = load<i32>(at, 192);

  const features = padded(d);
  const width = padded(m);
  const widest = max(features, width);
  const s = scratch;
  const ds = s + TILE;
  const qt = ds + TILE;
  const gt = qt + bytes(BLOCK * d);
  const turned = gt + bytes(BLOCK * m);
  const shown = turned + <usize>max(d, m) * KEYS_ROW;
  const queries = shown + bytes(REACH * widest);
  const cotangents = queries + bytes(BLOCK * features);
  const spare = cotangents + bytes(BLOCK * width);
  const hidden = spare + bytes((REACH + 1) * widest);
  const shifts = hidden + bytes(REACH);
  const ofRows = shifts + bytes(BLOCK);
  const ones = ofRows + bytes(BLOCK);
  const scales = ones + bytes(BLOCK);
  const zeros = scales + bytes(BLOCK);
  for (let x: usize = 0; x < bytes(BLOCK); x += 16) {
    v128.store(ones + x, f32x4.splat(1));
    v128.store(scales + x, f32x4.splat(scale));
  }
  memory.fill(zeros, 0, bytes(REACH));

  const alone = slots <= GROUP;
  const apart = qRow > bytes(d) && alone;
  const beside = together == 1 || <usize>load<u32>(at, 120) == bytes(m);
  const segments = (n + segment - 1) / segment;
  const units = ((load<i32>(at) * h) / together) * segments;
  const last = first(units, worker + 1, workers);
  for (let unit = first(units, worker, workers); unit < last; unit++) {
    const firstHead = (unit / segments) * together;
    const nextHead = firstHead + together;
    const begin = (unit % segments) * segment;
    const end = min(n, begin + segment);
    const mask = load<u32>(at, 100) ? <usize>load<u32>(at, 100) + <usize>(firstHead / h) * <usize>load<u32>(at, 104) : 0;
    for (let head = firstHead; parts && head < nextHead; head++) {
      memory.fill(parts + bytes(head * segments + unit % segments) * <usize>slots, 0, bytes(slots));
    }

    const gathers = ofKeys || ofValues;
    const lastQuery = gathers ? min(n, end + left) : end;
    let rows = 0;
    let cleared = begin;
    for (let i = gathers ? max(0, begin - right) : begin; i < lastQuery; i += rows) {
      const own = i >= begin && i < end;
      rows = min(BLOCK, (i < begin ? begin : own ? end : lastQuery) - i);
      const lanes = (rows + 15) & ~15;
      const reached = min(n, i + rows + right);
      const toClear = max(cleared, min(end, reached));
      const seen = shows(mask, max(0, i - left), reached);
      for (let head = firstHead; head < nextHead; head++) {
        const q = headOf(at + 32, head, h);
        const k = headOf(at + 48, head, h);
        const v = headOf(at + 64, head, h);
        const o = headOf(at + 80, head, h);
        const g = headOf(at + 112, head, h);
        const dq = headOf(at + 128, head, h);
        const dk = headOf(at + 144, head, h);
        const dv = headOf(at + 160, head, h);
        const bias = hasBias ? <usize>load<u32>(at, 108) + bytes(head % h) * <usize>slots : zeros;
        const part = parts + bytes(head * segments + unit % segments) * <usize>slots;
        let fromQueries = q + <usize>i * qRow;
        let queryRow = qRow;
        if (head == firstHead) {
          if (ofKeys) clearRows(dk + <usize>cleared * dkRow, dkRow, toClear - cleared, together * d);
          if (ofValues) clearRows(dv + <usize>cleared * dvRow, dvRow, toClear - cleared, together * m);
          if (apart && seen) {
            const firstKey = min(n, i + right);
            touch(spare, q, qRow, i, i + rows, together * d);
            if (beside) touch(spare, g, gRow, i, i + rows, together * m);
            touch(spare, k, kRow, firstKey, reached, together * d);
            touch(spare, v, vRow, firstKey, reached, together * m);
          }
        }
        if (!seen) {
          if (own && ofQueries) clearRows(dq + <usize>i * dqRow, dqRow, rows, d);
          continue;
        }
        if (features != d) {
          queryRow = bytes(features);
          padRows(queries, queryRow, fromQueries, qRow, rows, d);
          fromQueries = queries;
        }
        let fromCotangents = g + <usize>i * gRow;
        let cotangentRow = gRow;
        if (width != m) {
          cotangentRow = bytes(width);
          padRows(cotangents, cotangentRow, fromCotangents, gRow, rows, m);
          fromCotangents = cotangents;
        }
        if (rows < lanes) {
          memory.fill(qt, 0, bytes(BLOCK * d));
          memory.fill(gt, 0, bytes(BLOCK * m));
          memory.fill(ofRows, 0, bytes(BLOCK));
        }
        turnByFours(qt, fromQueries, queryRow, rows, d);
        turnByFours(gt, fromCotangents, cotangentRow, rows, m);
        if (!alone) dots(ofRows, fromCotangents, cotangentRow, o + <usize>i * oRow, oRow, rows, m);
        shiftsOf(shifts, logSumExp + bytes(head * n + i), rows);

        // Of wide windows, queries of the neighbours need only the keys of this segment; the others are summed whole.
        const lowest = own || alone ? 0 : begin;
        const highest = own || alone ? n : end;
        const until = min(slots, highest - i + left);
        let t = max(0, lowest - i - rows + 1 + left);
        for (let groups = (until - t + GROUP - 1) / GROUP, fresh = true; groups > 0; groups--) {
          const count = (until - t + groups - 1) / groups;
          const origin = i - left + t;
          const reach = lanes + count - 1;
          const whole = !hide(hidden, mask, origin, reach, n);
          let from = v + <usize>origin * vRow;
          let fromRow = vRow;
          if (!whole) {
            copyShown(shown, v, vRow, hidden, origin, reach, m);
            from = shown;
            fromRow = bytes(width);
          }
          transpose(turned, KEYS_ROW, from, fromRow, reach, m);
          scores(ds, gt, turned, m, lanes, count, ones, zeros, zeros, 0);
          from = k + <usize>origin * kRow;
          fromRow = kRow;
          if (!whole || features != d) {
            copyShown(shown, k, kRow, hidden, origin, reach, d);
            from = shown;
            fromRow = bytes(features);
          }
          transpose(turned, KEYS_ROW, from, fromRow, reach, d);
          const biases = hasBias ? bias + bytes(t) : zeros;
          scores(s, qt, turned, d, lanes, count, at + 28, hidden, biases, hasBias ? 4 : 0);
          const ofTile = dropped + <usize>(head * n + i) * slots + t;
          if (dropped) drop(ds, count, rows, ofTile, <usize>slots, kept);
          pull(s, ds, count, lanes, shifts, ofRows, alone);

          if (own && ofQueries) {
            sumKeys(dq + <usize>i * dqRow, dqRow, ds, count, rows, from, fromRow, d, fresh, ones, scales, spare);
          }
          if (own && parts) addRowSums(part + bytes(t), ds, count, lanes);
          const j = max(0, begin - origin);
          const stop = min(end - origin, rows + count - 1);
          if (ofKeys) {
            const to = dk + <usize>(origin + j) * dkRow;
            sumQueries(to, dkRow, j, stop, ds, count, rows, fromQueries, queryRow, d, ones, scales, spare);
          }
          if (ofValues) {
            if (dropped) drop(s, count, rows, ofTile, <usize>slots, kept);
            const to = dv + <usize>(origin + j) * dvRow;
            sumQueries(to, dvRow, j, stop, s, count, rows, fromCotangents, cotangentRow, m, ones, ones, spare);
          }
          t += count;
          fresh = false;
        }
      }
      cleared = toClear;
    }
  }
}

/**
 * dbias, the sum of its parts over batch and segments:
 * words: 0 b · 1 h · 2 ⌈n / segment⌉ · 3 left + right + 1 ·
 *   4 parts of dbias (b, h, ⌈n / segment⌉, left + right + 1) · 5 dbias (h, left + right + 1), both contiguous
 * scratch: none
 */
export function nearFieldBias(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const b = load<i32>(at);
  const h = load<i32>(at, 4);
  const segments = load<i32>(at, 8);
  const slots = load<i32>(at, 12);
  const parts = <usize>load<u32>(at, 16);
  const dbias = <usize>load<u32>(at, 20);
  const row = bytes(slots);
  const last = first(h * slots, worker + 1, workers);
  for (let unit = first(h * slots, worker, workers); unit < last; unit++) {
    const head = unit / slots;
    const from = parts + <usize>(head * segments) * row + bytes(unit % slots);
    let sum: f64 = 0;
    for (let batch = 0; batch < b; batch++) {
      const part = from + <usize>(batch * h * segments) * row;
      for (let p = 0; p < segments; p++) sum += load<f32>(part + <usize>p * row);
    }
    store<f32>(dbias + bytes(unit), <f32>sum);
  }
}
