import { headOf } from "./low-rank-field";
import { addOuter, bytes, padded, product, transpose } from "./low-rank-tile";
import { first } from "./share";
import { widened } from "./strided";

// Tiles of the scores have a row for each token of one side and a lane for each of the other, so that maxima, sums and
// exponentials go down the rows without steps across lanes, and only the lanes' side is transposed, once per block.
// Logits are in units of log₂.

/** Tokens of the lanes' side: those of a unit of work. */
// @ts-ignore: decorator
@inline
export const LANES: i32 = 32;

/** Tokens of the rows' side of a tile. */
// @ts-ignore: decorator
@inline
export const ROWS: i32 = 64;

// @ts-ignore: decorator
@inline
export const LOG2E: f32 = 1.4426950408889634;

// 2^x = 2ⁿ 2^f: adding MAGIC = 1.5·2²³ + 127 rounds x to n and leaves n + 127 in the low bits, which shifted are 2ⁿ,
// and exactly 0 at the clamp, n = −127. 2^f is a minimax polynomial of degree 6 on |f| ≤ ½, relative error 2⁻²⁸·⁹.
const LEAST = memory.data<f32>([-127]);
const MAGIC = memory.data<f32>([12583039]);
const P = memory.data<f32>([
  1, 0.6931471824645996, 0.24022647738456726, 0.055503323674201965, 0.00961843691766262, 0.0013398873852565885,
  0.00015353361959569156,
]);

/**
 * x ← 2^{x − shift} for x − shift < 128, 0 below 2⁻¹²⁶, of four vectors in a row. In step, they share each constant
 * once it is loaded, which is 1.5 times faster than one by one.
 */
// @ts-ignore: decorator
@inline
export function exp2(x: usize, shift0: v128, shift1: v128, shift2: v128, shift3: v128): void {
  let c = v128.load32_splat(LEAST);
  let x0 = f32x4.pmax(f32x4.sub(v128.load(x), shift0), c);
  let x1 = f32x4.pmax(f32x4.sub(v128.load(x, 16), shift1), c);
  let x2 = f32x4.pmax(f32x4.sub(v128.load(x, 32), shift2), c);
  let x3 = f32x4.pmax(f32x4.sub(v128.load(x, 48), shift3), c);
  c = v128.load32_splat(MAGIC);
  const n0 = f32x4.add(x0, c);
  const n1 = f32x4.add(x1, c);
  const n2 = f32x4.add(x2, c);
  const n3 = f32x4.add(x3, c);
  x0 = f32x4.sub(x0, f32x4.sub(n0, c));
  x1 = f32x4.sub(x1, f32x4.sub(n1, c));
  x2 = f32x4.sub(x2, f32x4.sub(n2, c));
  x3 = f32x4.sub(x3, f32x4.sub(n3, c));
  const highest = v128.load32_splat(P + 24);
  c = v128.load32_splat(P + 20);
  let p0 = f32x4.add(f32x4.mul(highest, x0), c);
  let p1 = f32x4.add(f32x4.mul(highest, x1), c);
  let p2 = f32x4.add(f32x4.mul(highest, x2), c);
  let p3 = f32x4.add(f32x4.mul(highest, x3), c);
  c = v128.load32_splat(P + 16);
  p0 = f32x4.add(f32x4.mul(p0, x0), c);
  p1 = f32x4.add(f32x4.mul(p1, x1), c);
  p2 = f32x4.add(f32x4.mul(p2, x2), c);
  p3 = f32x4.add(f32x4.mul(p3, x3), c);
  c = v128.load32_splat(P + 12);
  p0 = f32x4.add(f32x4.mul(p0, x0), c);
  p1 = f32x4.add(f32x4.mul(p1, x1), c);
  p2 = f32x4.add(f32x4.mul(p2, x2), c);
  p3 = f32x4.add(f32x4.mul(p3, x3), c);
  c = v128.load32_splat(P + 8);
  p0 = f32x4.add(f32x4.mul(p0, x0), c);
  p1 = f32x4.add(f32x4.mul(p1, x1), c);
  p2 = f32x4.add(f32x4.mul(p2, x2), c);
  p3 = f32x4.add(f32x4.mul(p3, x3), c);
  c = v128.load32_splat(P + 4);
  p0 = f32x4.add(f32x4.mul(p0, x0), c);
  p1 = f32x4.add(f32x4.mul(p1, x1), c);
  p2 = f32x4.add(f32x4.mul(p2, x2), c);
  p3 = f32x4.add(f32x4.mul(p3, x3), c);
  c = v128.load32_splat(P);
  p0 = f32x4.add(f32x4.mul(p0, x0), c);
  p1 = f32x4.add(f32x4.mul(p1, x1), c);
  p2 = f32x4.add(f32x4.mul(p2, x2), c);
  p3 = f32x4.add(f32x4.mul(p3, x3), c);
  v128.store(x, f32x4.mul(p0, i32x4.shl(n0, 23)));
  v128.store(x, f32x4.mul(p1, i32x4.shl(n1, 23)), 16);
  v128.store(x, f32x4.mul(p2, i32x4.shl(n2, 23)), 32);
  v128.store(x, f32x4.mul(p3, i32x4.shl(n3, 23)), 48);
}

/** Units in an order in which the causal ones, short and long, come in turns. */
// @ts-ignore: decorator
@inline
export function blockOf(unit: i32, blocks: i32): i32 {
  const block = unit % blocks;
  return block & 1 ? blocks - 1 - (block >> 1) : block >> 1;
}

/** Whether a mask, int32 or float32, keeps token j. */
// @ts-ignore: decorator
@inline
export function keeps(mask: usize, j: i32): bool {
  return (load<u32>(mask + bytes(j)) << 1) != 0;
}

/** Write which tokens the mask keeps, all when it is 0, and return how many. */
export function keptOf(mask: usize, begin: i32, end: i32, positions: usize): i32 {
  let count = 0;
  for (let j = begin; j < end; j++) {
    if (mask && !keeps(mask, j)) continue;
    store<i32>(positions + bytes(count), j);
    count++;
  }
  return count;
}

/** Copy the rows at these positions one after the other, padded with zeros to whole vectors. */
export function gatherRows(to: usize, from: usize, fromRow: usize, positions: usize, count: i32, width: i32): void {
  const toRow = bytes(padded(width));
  const body = bytes(width & ~3);
  const full = bytes(width);
  for (let r = 0; r < count; r++) {
    const x = from + <usize>load<i32>(positions + bytes(r)) * fromRow;
    let p: usize = 0;
    for (; p < body; p += 16) v128.store(to + p, v128.load(x + p));
    if (p < full) {
      const second = p + 4 < full ? load<f32>(x + p, 4) : 0;
      const third = p + 8 < full ? load<f32>(x + p, 8) : 0;
      v128.store(to + p, f32x4(load<f32>(x + p), second, third, 0));
    }
    to += toRow;
  }
}

/** The columns of `count` rows as rows of LANES numbers times `factor`, 0 where there is no row. */
export function turn(to: usize, from: usize, fromRow: usize, count: i32, width: i32, factor: f32): void {
  const toRow = bytes(LANES);
  const end = to + <usize>width * toRow;
  if (count < LANES) memory.fill(to, 0, end - to);
  transpose(to, toRow, from, fromRow, count, width);
  if (factor == 1) return;
  for (; to < end; to += 16) v128.store(to, f32x4.mul(v128.load(to), f32x4.splat(factor)));
}

/**
 * Add bias to a tile of `count` rows: that of row r and lane l lies at bias + position_r · rowStride + l · laneStride;
 * lanes from `present` on have none.
 */
export function addBias(
  s: usize,
  bias: usize,
  rowStride: usize,
  laneStride: usize,
  positions: usize,
  count: i32,
  present: i32,
): void {
  for (let r = 0; r < count; r++) {
    let from = bias + <usize>load<i32>(positions + bytes(r)) * rowStride;
    for (let at = s, end = s + bytes(present); at < end; at += 4) {
      store<f32>(at, load<f32>(at) + load<f32>(from) * LOG2E);
      from += laneStride;
    }
    s += bytes(LANES);
  }
}

/** Multiply a tile by z, 0 where `dropped` is 1 and `kept` else; the byte of row r and lane l lies as its bias does. */
export function drop(
  s: usize,
  dropped: usize,
  rowStride: usize,
  laneStride: usize,
  positions: usize,
  count: i32,
  present: i32,
  kept: f32,
): void {
  for (let r = 0; r < count; r++) {
    let from = dropped + <usize>load<i32>(positions + bytes(r)) * rowStride;
    const end = s + bytes(present);
    let at = s;
    if (laneStride == 1) {
      for (; at + 16 <= end; at += 16, from += 4) {
        const is = i32x4.ne(widened(from), i32x4.splat(0));
        v128.store(at, v128.andnot(f32x4.mul(v128.load(at), f32x4.splat(kept)), is));
      }
    }
    for (; at < end; at += 4, from += laneStride) {
      store<f32>(at, select<f32>(0, load<f32>(at) * kept, load<u8>(from)));
    }
    s += bytes(LANES);
  }
}

const LANE = memory.data<i32>([0, 1, 2, 3]);

/** Give −∞ to the lanes, tokens from `begin` on, that lie before (or after) the token of their row. */
// @ts-ignore: decorator
@inline
export function hide(s: usize, positions: usize, count: i32, begin: i32, before: bool): void {
  for (let r = 0; r < count; r++) {
    const row = i32x4.splat(load<i32>(positions + bytes(r)) - begin);
    let lane = v128.load(LANE);
    for (let at = s, end = s + bytes(LANES); at < end; at += 16) {
      const hidden = before ? i32x4.lt_s(lane, row) : i32x4.gt_s(lane, row);
      v128.store(at, v128.bitselect(f32x4.splat(-Infinity), v128.load(at), hidden));
      lane = i32x4.add(lane, i32x4.splat(4));
    }
    s += bytes(LANES);
  }
}

/**
 * Turn logits into e^{t − µ}, µ the largest so far, and keep µ, Σ e^{t − µ} and the factor of what was summed before.
 * Returns whether any µ is new.
 */
function absorb(s: usize, count: i32, lanes: i32, top: usize, total: usize, factor: usize): bool {
  const row = bytes(LANES);
  const end = s + <usize>count * row;
  const least = f32x4.splat(-Infinity);
  let moved = f32x4.splat(0);
  for (let x: usize = 0; x < bytes(lanes); x += 64) {
    let a = v128.load(top + x);
    let b = v128.load(top + x, 16);
    let c = v128.load(top + x, 32);
    let d = v128.load(top + x, 48);
    v128.store(factor + x, a);
    v128.store(factor + x, b, 16);
    v128.store(factor + x, c, 32);
    v128.store(factor + x, d, 48);
    for (let at = s + x; at < end; at += row) {
      a = f32x4.pmax(a, v128.load(at));
      b = f32x4.pmax(b, v128.load(at, 16));
      c = f32x4.pmax(c, v128.load(at, 32));
      d = f32x4.pmax(d, v128.load(at, 48));
    }
    v128.store(top + x, a);
    v128.store(top + x, b, 16);
    v128.store(top + x, c, 32);
    v128.store(top + x, d, 48);
    moved = v128.or(moved, f32x4.ne(a, v128.load(factor + x)));
    moved = v128.or(moved, f32x4.ne(b, v128.load(factor + x, 16)));
    moved = v128.or(moved, f32x4.ne(c, v128.load(factor + x, 32)));
    moved = v128.or(moved, f32x4.ne(d, v128.load(factor + x, 48)));
    a = v128.andnot(a, f32x4.eq(a, least));
    b = v128.andnot(b, f32x4.eq(b, least));
    c = v128.andnot(c, f32x4.eq(c, least));
    d = v128.andnot(d, f32x4.eq(d, least));
    exp2(factor + x, a, b, c, d);
    let sumA = f32x4.splat(0);
    let sumB = sumA;
    let sumC = sumA;
    let sumD = sumA;
    for (let at = s + x; at < end; at += row) {
      exp2(at, a, b, c, d);
      sumA = f32x4.add(sumA, v128.load(at));
      sumB = f32x4.add(sumB, v128.load(at, 16));
      sumC = f32x4.add(sumC, v128.load(at, 32));
      sumD = f32x4.add(sumD, v128.load(at, 48));
    }
    const to = total + x;
    v128.store(to, f32x4.add(f32x4.mul(v128.load(to), v128.load(factor + x)), sumA));
    v128.store(to, f32x4.add(f32x4.mul(v128.load(to, 16), v128.load(factor + x, 16)), sumB), 16);
    v128.store(to, f32x4.add(f32x4.mul(v128.load(to, 32), v128.load(factor + x, 32)), sumC), 32);
    v128.store(to, f32x4.add(f32x4.mul(v128.load(to, 48), v128.load(factor + x, 48)), sumD), 48);
  }
  return v128.any_true(moved);
}

/** Multiply rows of `width` numbers, whole vectors, each by its factor. */
function scaleRows(x: usize, factor: usize, rows: i32, width: i32): void {
  for (let r = 0; r < rows; r++) {
    const by = v128.load32_splat(factor + bytes(r));
    for (const end = x + bytes(width); x < end; x += 16) v128.store(x, f32x4.mul(v128.load(x), by));
  }
}

/** Write a row of any width times a factor. */
export function writeRow(to: usize, from: usize, width: i32, factor: f32): void {
  const body = bytes(width & ~3);
  let p: usize = 0;
  for (; p < body; p += 16) v128.store(to + p, f32x4.mul(v128.load(from + p), f32x4.splat(factor)));
  for (; p < bytes(width); p += 4) store<f32>(to + p, load<f32>(from + p) * factor);
}

/**
 * Softmax attention over all tokens kept, block by block with a running maximum and sum, and the logarithms of the
 * normalisers: t_ij = scale · q_i·k_j + bias_ij, L_i = ln Σ_j e^{t_ij}, o_i = Σ_j e^{t_ij − L_i} v_j; where nothing is
 * attended o_i = 0, L_i = −∞. Dropped weights count as 0 in the sum of values, the others 1 / (1 − rate) times.
 * words: 0 b · 1 h · 2 n · 3 d · 4 m · 5 whether causal · 6 scale ·
 *   7 q (b, h, n, d) · 8 its strides of batch · 9 head · 10 row ·
 *   11 k (b, h, n, d) · 12 its strides of batch · 13 head · 14 row ·
 *   15 v (b, h, n, m) · 16 its strides of batch · 17 head · 18 row ·
 *   19 o (b, h, n, m) · 20 its strides of batch · 21 head · 22 row ·
 *   23 L (b, h, n), contiguous, or 0 ·
 *   24 mask (b, n), int32 or float32, 0 hides a key; or 0 · 25 its stride of batch ·
 *   26 bias (b, h, n, n) or 0 · 27 its strides of batch · 28 head · 29 query · 30 key, 0 where it is stretched ·
 *   31 dropped (b, h, n, n), bytes, contiguous, or 0 · 32 1 / (1 − rate)
 * scratch: 4 (32 d + 64·32 + 64 D + 96 M + 192) bytes, D and M being d and m rounded up to 4
 */
export function fullAttention(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const h = load<i32>(at, 4);
  const n = load<i32>(at, 8);
  const d = load<i32>(at, 12);
  const m = load<i32>(at, 16);
  const causal = load<i32>(at, 20) != 0;
  const scale = load<f32>(at, 24);
  const qRow = <usize>load<u32>(at, 40);
  const kRow = <usize>load<u32>(at, 56);
  const vRow = <usize>load<u32>(at, 72);
  const oRow = <usize>load<u32>(at, 88);
  const logSumExp = <usize>load<u32>(at, 92);
  const hasBias = load<u32>(at, 104) != 0;
  const dropped = <usize>load<u32>(at, 124);

  const width = padded(m);
  const qt = scratch;
  const s = qt + <usize>d * bytes(LANES);
  const o = s + bytes(ROWS * LANES);
  const keys = o + bytes(LANES * width);
  const values = keys + bytes(ROWS * padded(d));
  const positions = values + bytes(ROWS * width);
  const top = positions + bytes(ROWS);
  const total = top + bytes(LANES);
  const factor = total + bytes(LANES);
  const zeros = factor + bytes(LANES);
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
    turn(qt, headOf(at + 28, head, h) + <usize>begin * qRow, qRow, present, d, scale * LOG2E);
    memory.fill(o, 0, bytes(LANES * width));
    memory.fill(total, 0, bytes(LANES));
    for (let x: usize = 0; x < bytes(LANES); x += 16) v128.store(top + x, f32x4.splat(-Infinity));

    const end = causal ? begin + present : n;
    for (let j = 0; j < end; j += ROWS) {
      const until = min(end, j + ROWS);
      const count = keptOf(mask, j, until, positions);
      if (!count) continue;
      const whole = count == until - j;
      let from = k + <usize>j * kRow;
      let fromRow = kRow;
      if (!whole) {
        gatherRows(keys, k, kRow, positions, count, d);
        from = keys;
        fromRow = bytes(padded(d));
      }
      product(s, bytes(LANES), zeros, 0, from, fromRow, qt, bytes(LANES), count, d, lanes);
      if (hasBias) {
        const queryStride = <usize>load<u32>(at, 116);
        const bias = headOf(at + 104, head, h) + <usize>begin * queryStride;
        addBias(s, bias, <usize>load<u32>(at, 120), queryStride, positions, count, present);
      }
      if (causal && until > begin + 1) hide(s, positions, count, begin, true);
      if (absorb(s, count, lanes, top, total, factor)) scaleRows(o, factor, present, width);
      if (dropped) {
        const ofBlock = dropped + <usize>(head * n + begin) * n;
        drop(s, ofBlock, 1, n, positions, count, present, load<f32>(at, 128));
      }
      from = v + <usize>j * vRow;
      fromRow = vRow;
      if (!whole || width != m) {
        gatherRows(values, v, vRow, positions, count, m);
        from = values;
        fromRow = bytes(width);
      }
      addOuter(o, bytes(width), s, bytes(LANES), from, fromRow, count, padded(present), width);
    }

    const to = headOf(at + 76, head, h) + <usize>begin * oRow;
    for (let i = 0; i < present; i++) {
      const sum = load<f32>(total + bytes(i));
      writeRow(to + <usize>i * oRow, o + bytes(i * width), m, sum == 0 ? 0 : 1 / sum);
      if (logSumExp) {
        const largest = <f64>load<f32>(top + bytes(i));
        store<f32>(logSumExp + bytes(head * n + begin + i), <f32>(largest * Math.LN2 + Math.log(sum)));
      }
    }
  }
}
