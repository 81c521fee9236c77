import { headOf } from "./low-rank-field";
import { bytes, padded, touch, transpose } from "./low-rank-tile";
import { log } from "./math/log";
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
  TILE,
  TILE_ROW,
  turnByFours,
} from "./near-field-tile";
import { first } from "./share";

/**
 * Turn logits into e^{t − µ}, µ the largest so far (0 if that is −∞), and keep µ, l = Σ e^{t − µ} and the factor of
 * what was summed before, 0 at first.
 */
function absorb(s: usize, count: i32, lanes: i32, fresh: bool, top: usize, total: usize, keep: usize): void {
  const end = s + <usize>count * TILE_ROW;
  const least = f32x4.splat(-Infinity);
  for (let x: usize = 0; x < bytes(lanes); x += 64, top += 64, total += 64, keep += 64) {
    let a = fresh ? least : v128.load(top);
    let b = fresh ? least : v128.load(top, 16);
    let c = fresh ? least : v128.load(top, 32);
    let d = fresh ? least : v128.load(top, 48);
    v128.store(keep, a);
    v128.store(keep, b, 16);
    v128.store(keep, c, 32);
    v128.store(keep, d, 48);
    for (let at = s + x; at < end; at += TILE_ROW) {
      a = f32x4.pmax(a, v128.load(at));
      b = f32x4.pmax(b, v128.load(at, 16));
      c = f32x4.pmax(c, v128.load(at, 32));
      d = f32x4.pmax(d, v128.load(at, 48));
    }
    v128.store(top, a);
    v128.store(top, b, 16);
    v128.store(top, c, 32);
    v128.store(top, d, 48);
    a = v128.andnot(a, f32x4.eq(a, least));
    b = v128.andnot(b, f32x4.eq(b, least));
    c = v128.andnot(c, f32x4.eq(c, least));
    d = v128.andnot(d, f32x4.eq(d, least));
    let sumA = f32x4.splat(0);
    let sumB = sumA;
    let sumC = sumA;
    let sumD = sumA;
    if (!fresh) {
      exponentials(keep, a, b, c, d);
      sumA = f32x4.mul(v128.load(total), v128.load(keep));
      sumB = f32x4.mul(v128.load(total, 16), v128.load(keep, 16));
      sumC = f32x4.mul(v128.load(total, 32), v128.load(keep, 32));
      sumD = f32x4.mul(v128.load(total, 48), v128.load(keep, 48));
    }
    for (let at = s + x; at < end; at += TILE_ROW) {
      exponentials(at, a, b, c, d);
      sumA = f32x4.add(sumA, v128.load(at));
      sumB = f32x4.add(sumB, v128.load(at, 16));
      sumC = f32x4.add(sumC, v128.load(at, 32));
      sumD = f32x4.add(sumD, v128.load(at, 48));
    }
    v128.store(total, sumA);
    v128.store(total, sumB, 16);
    v128.store(total, sumC, 32);
    v128.store(total, sumD, 48);
  }
}

/** L = µ + ln l in place of µ, and 1 / l in the two factors, 0 where there is no key. */
function conclude(lanes: i32, top: usize, total: usize, keep: usize, factor: usize): void {
  for (let x: usize = 0; x < bytes(lanes); x += 16) {
    const l = v128.load(total + x);
    const inverse = v128.andnot(f32x4.div(f32x4.splat(1), l), f32x4.eq(l, f32x4.splat(0)));
    v128.store(factor + x, inverse);
    v128.store(keep + x, f32x4.mul(v128.load(keep + x), inverse));
    v128.store(top + x, f32x4.add(v128.load(top + x), log(l)));
  }
}

/**
 * Softmax attention over a band of keys, i − left ≤ j ≤ i + right, and the logarithms of the normalisers:
 * t_ij = scale · q_i·k_j + bias_{j − i + left}, L_i = ln Σ_j e^{t_ij}, o_i = Σ_j e^{t_ij − L_i} v_j; a row without keys
 * has o_i = 0, L_i = −∞. Dropped weights count as 0 in the sum of values, the others 1 / (1 − rate) times. Windows of more than 64 diagonals are taken in groups, with a running maximum and sum.
 * words: 0 b · 1 h · 2 n · 3 d · 4 m · 5 left · 6 right · 7 scale ·
 *   8 q (b, h, n, d) · 9 its strides of batch · 10 head · 11 row ·
 *   12 k (b, h, n, d) · 13 its strides of batch · 14 head · 15 row ·
 *   16 v (b, h, n, m) · 17 its strides of batch · 18 head · 19 row ·
 *   20 o (b, h, n, m) · 21 its strides of batch · 22 head · 23 row ·
 *   24 L (b, h, n), contiguous, or 0 ·
 *   25 mask (b, n), 0 hides a key; or 0 · 26 its stride of batch ·
 *   27 bias (h, left + right + 1), contiguous, or 0 ·
 *   28 dropped (b, h, n, left + right + 1), bytes, contiguous, or 0 · 29 1 / (1 − rate) ·
 *   30 heads taken together, block after block, a divisor of h: where they are several, those of q, k and v lie side by side
 * scratch: 4 (240 d + 128 max(D, M) + 65 M + 5505) bytes, D and M being d and m rounded up to 4
 */
export function nearField(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const h = load<i32>(at, 4);
  const n = load<i32>(at, 8);
  const d = load<i32>(at, 12);
  const m = load<i32>(at, 16);
  const left = load<i32>(at, 20);
  const right = load<i32>(at, 24);
  const slots = left + right + 1;
  const qRow = <usize>load<u32>(at, 44);
  const kRow = <usize>load<u32>(at, 60);
  const vRow = <usize>load<u32>(at, 76);
  const oRow = <usize>load<u32>(at, 92);
  const logSumExp = <usize>load<u32>(at, 96);
  const hasBias = load<u32>(at, 108) != 0;
  const dropped = <usize>load<u32>(at, 112);
  const together = load<i32>(at, 120);

  const features = padded(d);
  const width = padded(m);
  const s = scratch;
  const qt = s + TILE;
  const kt = qt + bytes(BLOCK * d);
  const shown = kt + <usize>d * KEYS_ROW;
  const spare = shown + bytes(REACH * max(features, width));
  const hidden = spare + bytes((BLOCK + 1) * width);
  const top = hidden + bytes(REACH);
  const total = top + bytes(BLOCK);
  const keep = total + bytes(BLOCK);
  const factor = keep + bytes(BLOCK);
  const zero = factor + bytes(BLOCK);
  store<f32>(zero, 0);

  const apart = qRow > bytes(d) && slots <= GROUP;
  const blocks = (n + BLOCK - 1) / BLOCK;
  const units = load<i32>(at) * h * blocks;
  const last = first(units, worker + 1, workers);
  for (let unit = first(units, worker, workers); unit < last; unit++) {
    const member = unit % together;
    const head = (unit / (together * blocks)) * together + member;
    const begin = ((unit / together) % blocks) * BLOCK;
    const rows = min(BLOCK, n - begin);
    const lanes = (rows + 15) & ~15;
    const q = headOf(at + 32, head, h);
    const k = headOf(at + 48, head, h);
    const v = headOf(at + 64, head, h);
    const o = headOf(at + 80, head, h) + <usize>begin * oRow;
    const mask = load<u32>(at, 100) ? <usize>load<u32>(at, 100) + <usize>(head / h) * <usize>load<u32>(at, 104) : 0;
    const bias = hasBias ? <usize>load<u32>(at, 108) + bytes(head % h) * <usize>slots : zero;
    const firstKey = max(0, begin - left);
    const endKey = min(n, begin + rows + right);
    if (!shows(mask, firstKey, endKey)) {
      clearRows(o, oRow, rows, m);
      for (let i = begin; logSumExp && i < begin + rows; i++) store<f32>(logSumExp + bytes(head * n + i), -Infinity);
      continue;
    }
    if (apart && member == 0) {
      touch(spare, q, qRow, begin, begin + rows, together * d);
      touch(spare, k, kRow, firstKey, endKey, together * d);
      touch(spare, v, vRow, firstKey, endKey, together * m);
    }
    if (rows < lanes) memory.fill(qt, 0, bytes(BLOCK * d));
    turnByFours(qt, q + <usize>begin * qRow, qRow, rows, d);

    const until = min(slots, n - begin + left);
    let t = max(0, left - (begin + rows - 1));
    for (let groups = (until - t + GROUP - 1) / GROUP, fresh = true; groups > 0; groups--) {
      const count = (until - t + groups - 1) / groups;
      const origin = begin - left + t;
      const reach = lanes + count - 1;
      const whole = !hide(hidden, mask, origin, reach, n);
      let from = k + <usize>origin * kRow;
      let fromRow = kRow;
      if (!whole) {
        copyShown(shown, k, kRow, hidden, origin, reach, d);
        from = shown;
        fromRow = bytes(features);
      }
      transpose(kt, KEYS_ROW, from, fromRow, reach, d);
      const biases = hasBias ? bias + bytes(t) : zero;
      scores(s, qt, kt, d, lanes, count, at + 28, hidden, biases, hasBias ? 4 : 0);
      absorb(s, count, lanes, fresh, top, total, keep);
      if (groups == 1) conclude(lanes, top, total, keep, factor);
      else if (fresh) for (let i = 0; i < BLOCK; i++) store<f32>(factor + bytes(i), 1);

      from = v + <usize>origin * vRow;
      fromRow = vRow;
      if (!whole || width != m) {
        copyShown(shown, v, vRow, hidden, origin, reach, m);
        from = shown;
        fromRow = bytes(width);
      }
      if (dropped) drop(s, count, rows, dropped + <usize>(head * n + begin) * slots + t, <usize>slots, load<f32>(at, 116));
      sumKeys(o, oRow, s, count, rows, from, fromRow, m, fresh, keep, factor, spare);
      t += count;
      fresh = false;
    }
    if (logSumExp) memory.copy(logSumExp + bytes(head * n + begin), top, bytes(rows));
  }
}
