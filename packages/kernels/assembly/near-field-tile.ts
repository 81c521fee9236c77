import { bytes, copyRows, mulAdd, padded, transpose } from "./low-rank-tile";
import { ONE, splat } from "./math/splat";

// A tile is a block of queries by a group of diagonals: row t holds the scores of queries i with keys origin + i + t,
// so that maxima, sums and exponentials go down the rows without steps across lanes. Of transposed keys the row of each
// feature is read from an address that moves with the diagonal. Sums over keys (or over queries, for the cotangents of
// keys) take two rows at a time: both read the same vectors, one diagonal apart.

/** Queries of a block. */
// @ts-ignore: decorator
@inline
export const BLOCK: i32 = 64;

/** The most diagonals of a group: what it needs stays near the first-level cache. */
// @ts-ignore: decorator
@inline
export const GROUP: i32 = 64;

/** Keys a tile reaches, rounded up to whole vectors. */
// @ts-ignore: decorator
@inline
export const REACH: i32 = BLOCK + GROUP;

/** Bytes between rows of a tile; no power of two, so that its columns spread over the sets of the cache. */
// @ts-ignore: decorator
@inline
export const TILE_ROW: usize = 4 * (BLOCK + 16);

/** Bytes from the weight of a query to that of the next query with the same key. */
// @ts-ignore: decorator
@inline
export const OTHER: usize = 4 - TILE_ROW;

/** Bytes of a tile. */
// @ts-ignore: decorator
@inline
export const TILE: usize = TILE_ROW * GROUP;

/** Bytes between rows of transposed keys: an odd number of cache lines. */
// @ts-ignore: decorator
@inline
export const KEYS_ROW: usize = 4 * (REACH + 48);

/** The most diagonals of a portion. */
// @ts-ignore: decorator
@inline
const DIAGONALS: i32 = 7;

/**
 * Write −∞ for the keys from `origin` on that are outside the sequence or masked, 0 for the others; returns whether
 * there are any to hide.
 */
export function hide(to: usize, mask: usize, origin: i32, count: i32, n: i32): bool {
  for (let x: usize = 0; x < bytes(count); x += 16) v128.store(to + x, f32x4.splat(0));
  const begin = min(max(-origin, 0), count);
  const end = max(min(n - origin, count), begin);
  for (let j = 0; j < begin; j++) store<f32>(to + bytes(j), -Infinity);
  for (let j = end; j < count; j++) store<f32>(to + bytes(j), -Infinity);
  let any = begin > 0 || end < count;
  if (!mask) return any;
  const from = mask + bytes(origin);
  let masked = f32x4.splat(0);
  let j = begin;
  for (; j + 4 <= end; j += 4) {
    const zero = f32x4.eq(v128.load(from + bytes(j)), f32x4.splat(0));
    v128.store(to + bytes(j), v128.and(zero, f32x4.splat(-Infinity)));
    masked = v128.or(masked, zero);
  }
  for (; j < end; j++) {
    if (load<f32>(from + bytes(j)) != 0) continue;
    store<f32>(to + bytes(j), -Infinity);
    any = true;
  }
  return any || v128.any_true(masked);
}

/** Whether the mask, if there is one, shows a key from `begin` to `end`. */
export function shows(mask: usize, begin: i32, end: i32): bool {
  if (!mask) return true;
  for (; begin < end; begin++) if (load<f32>(mask + bytes(begin)) != 0) return true;
  return false;
}

/** Fill rows of any width with zeros; `memory.fill` costs more than a row. */
export function clearRows(to: usize, toRow: usize, rows: i32, width: i32): void {
  const body = bytes(width & ~3);
  for (; rows > 0; rows--, to += toRow) {
    let x: usize = 0;
    for (; x < body; x += 16) v128.store(to + x, f32x4.splat(0));
    for (; x < bytes(width); x += 4) store<f32>(to + x, 0);
  }
}

/** Copy rows from `origin` on, padded with zeros to whole vectors; a row of zeros for each that is hidden. */
export function copyShown(
  to: usize,
  from: usize,
  fromRow: usize,
  hidden: usize,
  origin: i32,
  count: i32,
  width: i32,
): void {
  const row = bytes(padded(width));
  const body = bytes(width & ~3);
  for (let j = 0; j < count; j++, to += row) {
    if (load<f32>(hidden + bytes(j)) != 0) {
      clearRows(to, row, 1, padded(width));
      continue;
    }
    if (body < row) v128.store(to + body, f32x4.splat(0));
    copyRows(to, row, from + <usize>(origin + j) * fromRow, fromRow, 1, width);
  }
}

/**
 * The columns of rows in vectors of 4 rows, one after the other: the number of row 4 i + r and column c lies at
 * to + 16 (i · width + c) + 4 r, 0 behind the last row.
 */
export function turnByFours(to: usize, from: usize, fromRow: usize, rows: i32, width: i32): void {
  for (; rows > 0; rows -= 4) {
    transpose(to, 16, from, fromRow, min(rows, 4), width);
    from += 4 * fromRow;
    to += <usize>width * 16;
  }
}

// @ts-ignore: decorator
@inline
function storeScore(s: usize, sum: v128, scale: usize, hidden: usize, bias: usize): void {
  v128.store(s, f32x4.add(f32x4.mul(sum, splat(scale)), f32x4.add(v128.load(hidden), v128.load32_splat(bias))));
}

const ZEROS = memory.data(16 * DIAGONALS, 16);

// `count` diagonals, 4 queries at a time. V8 puts the loads of a feature before its arithmetic: 7 sums, 7 keys and the
// queries are what 15 registers hold.
// @ts-ignore: decorator
@inline
function diagonals(
  s: usize,
  qt: usize,
  kt: usize,
  depth: i32,
  lanes: i32,
  scale: usize,
  hidden: usize,
  bias: usize,
  biasStep: usize,
  count: i32,
): void {
  const step = <usize>depth * 16;
  for (const stop = s + bytes(lanes); s < stop; s += 16) {
    let s0 = v128.load(ZEROS, 0);
    let s1 = v128.load(ZEROS, 16);
    let s2 = v128.load(ZEROS, 32);
    let s3 = v128.load(ZEROS, 48);
    let s4 = v128.load(ZEROS, 64);
    let s5 = v128.load(ZEROS, 80);
    let s6 = v128.load(ZEROS, 96);
    let q = qt;
    let k = kt;
    for (const end = qt + step; q != end; q += 16, k += KEYS_ROW) {
      const x = v128.load(q);
      s0 = mulAdd(s0, x, v128.load(k));
      if (count > 1) s1 = mulAdd(s1, x, v128.load(k, 4));
      if (count > 2) s2 = mulAdd(s2, x, v128.load(k, 8));
      if (count > 3) s3 = mulAdd(s3, x, v128.load(k, 12));
      if (count > 4) s4 = mulAdd(s4, x, v128.load(k, 16));
      if (count > 5) s5 = mulAdd(s5, x, v128.load(k, 20));
      if (count > 6) s6 = mulAdd(s6, x, v128.load(k, 24));
    }
    storeScore(s, s0, scale, hidden, bias);
    if (count > 1) storeScore(s + TILE_ROW, s1, scale, hidden + 4, bias + biasStep);
    if (count > 2) storeScore(s + 2 * TILE_ROW, s2, scale, hidden + 8, bias + 2 * biasStep);
    if (count > 3) storeScore(s + 3 * TILE_ROW, s3, scale, hidden + 12, bias + 3 * biasStep);
    if (count > 4) storeScore(s + 4 * TILE_ROW, s4, scale, hidden + 16, bias + 4 * biasStep);
    if (count > 5) storeScore(s + 5 * TILE_ROW, s5, scale, hidden + 20, bias + 5 * biasStep);
    if (count > 6) storeScore(s + 6 * TILE_ROW, s6, scale, hidden + 24, bias + 6 * biasStep);
    qt += step;
    kt += 16;
    hidden += 16;
  }
}

/**
 * A tile of scores, scale · q_i·k_j + hidden_j + bias_t, of transposed queries (by fours) and keys; `lanes` is a
 * multiple of 4. Diagonals are taken in portions of almost the same size.
 */
export function scores(
  s: usize,
  qt: usize,
  kt: usize,
  depth: i32,
  lanes: i32,
  count: i32,
  scale: usize,
  hidden: usize,
  bias: usize,
  biasStep: usize,
): void {
  const portions = (count + DIAGONALS - 1) / DIAGONALS;
  for (let p = 0, t = 0; p < portions; p++) {
    const next = ((p + 1) * count) / portions;
    const to = s + <usize>t * TILE_ROW;
    const keys = kt + bytes(t);
    const hides = hidden + bytes(t);
    const adds = bias + <usize>t * biasStep;
    switch (next - t) {
      case 7: diagonals(to, qt, keys, depth, lanes, scale, hides, adds, biasStep, 7); break;
      case 6: diagonals(to, qt, keys, depth, lanes, scale, hides, adds, biasStep, 6); break;
      case 5: diagonals(to, qt, keys, depth, lanes, scale, hides, adds, biasStep, 5); break;
      case 4: diagonals(to, qt, keys, depth, lanes, scale, hides, adds, biasStep, 4); break;
      case 3: diagonals(to, qt, keys, depth, lanes, scale, hides, adds, biasStep, 3); break;
      case 2: diagonals(to, qt, keys, depth, lanes, scale, hides, adds, biasStep, 2); break;
      default: diagonals(to, qt, keys, depth, lanes, scale, hides, adds, biasStep, 1);
    }
    t = next;
  }
}

// e^x = 2ⁿ 2^f, n + f = x log₂e: adding MAGIC = 1.5·2²³ + 127 rounds to n and leaves n + 127 in the low bits, which
// shifted are 2ⁿ, and exactly 0 at the clamp, n = −127. 2^f is a minimax polynomial of degree 6 on |f| ≤ ½, relative
// error 2⁻²⁸·⁹. Logits are not kept in units of log₂: those in the thousands would be rounded once more.
const LOG2E = memory.data<f32>([1.4426950408889634]);
const LEAST = memory.data<f32>([-127]);
const MAGIC = memory.data<f32>([12583039]);
const P = memory.data<f32>([
  0.6931471824645996, 0.24022647738456726, 0.055503323674201965, 0.00961843691766262, 0.0013398873852565885,
  0.00015353361959569156,
]);

/**
 * x ← e^{x − shift} for x − shift < 88, 0 below −88, of four vectors in a row. In step, they share each constant once
 * it is loaded.
 */
// @ts-ignore: decorator
@inline
export function exponentials(x: usize, shift0: v128, shift1: v128, shift2: v128, shift3: v128): void {
  let c = splat(LOG2E);
  let x0 = f32x4.mul(f32x4.sub(v128.load(x), shift0), c);
  let x1 = f32x4.mul(f32x4.sub(v128.load(x, 16), shift1), c);
  let x2 = f32x4.mul(f32x4.sub(v128.load(x, 32), shift2), c);
  let x3 = f32x4.mul(f32x4.sub(v128.load(x, 48), shift3), c);
  c = splat(LEAST);
  x0 = f32x4.pmax(x0, c);
  x1 = f32x4.pmax(x1, c);
  x2 = f32x4.pmax(x2, c);
  x3 = f32x4.pmax(x3, c);
  c = splat(MAGIC);
  const n0 = f32x4.add(x0, c);
  const n1 = f32x4.add(x1, c);
  const n2 = f32x4.add(x2, c);
  const n3 = f32x4.add(x3, c);
  x0 = f32x4.sub(x0, f32x4.sub(n0, c));
  x1 = f32x4.sub(x1, f32x4.sub(n1, c));
  x2 = f32x4.sub(x2, f32x4.sub(n2, c));
  x3 = f32x4.sub(x3, f32x4.sub(n3, c));
  const highest = splat(P + 20);
  c = splat(P + 16);
  let p0 = mulAdd(c, highest, x0);
  let p1 = mulAdd(c, highest, x1);
  let p2 = mulAdd(c, highest, x2);
  let p3 = mulAdd(c, highest, x3);
  c = splat(P + 12);
  p0 = mulAdd(c, p0, x0);
  p1 = mulAdd(c, p1, x1);
  p2 = mulAdd(c, p2, x2);
  p3 = mulAdd(c, p3, x3);
  c = splat(P + 8);
  p0 = mulAdd(c, p0, x0);
  p1 = mulAdd(c, p1, x1);
  p2 = mulAdd(c, p2, x2);
  p3 = mulAdd(c, p3, x3);
  c = splat(P + 4);
  p0 = mulAdd(c, p0, x0);
  p1 = mulAdd(c, p1, x1);
  p2 = mulAdd(c, p2, x2);
  p3 = mulAdd(c, p3, x3);
  c = splat(P);
  p0 = mulAdd(c, p0, x0);
  p1 = mulAdd(c, p1, x1);
  p2 = mulAdd(c, p2, x2);
  p3 = mulAdd(c, p3, x3);
  c = splat(ONE);
  p0 = mulAdd(c, p0, x0);
  p1 = mulAdd(c, p1, x1);
  p2 = mulAdd(c, p2, x2);
  p3 = mulAdd(c, p3, x3);
  v128.store(x, f32x4.mul(p0, i32x4.shl(n0, 23)));
  v128.store(x, f32x4.mul(p1, i32x4.shl(n1, 23)), 16);
  v128.store(x, f32x4.mul(p2, i32x4.shl(n2, 23)), 32);
  v128.store(x, f32x4.mul(p3, i32x4.shl(n3, 23)), 48);
}

// @ts-ignore: decorator
@inline
function finish(to: usize, sum: v128, fresh: bool, keep: v128, factor: v128): void {
  const part = f32x4.mul(sum, factor);
  v128.store(to, fresh ? part : mulAdd(part, v128.load(to), keep));
}

// Two rows of weighted sums, to ← keep · to + factor · Σ w x, or ← factor · Σ w x where they are fresh: over `count` rows x
// that both have, one before that only the first has (`lead`) and one behind that only the second has (`trail`). The
// weights of the second lie `other` bytes from those of the first, the next ones `step` bytes on; keep and factor of the
// second 4 bytes on.
// @ts-ignore: decorator
@inline
function pairPart(
  to: usize,
  second: usize,
  w: usize,
  other: usize,
  step: usize,
  rows: usize,
  row: usize,
  lead: bool,
  count: i32,
  trail: bool,
  fresh: bool,
  keep: usize,
  factor: usize,
  vectors: i32,
): void {
  let a0 = f32x4.splat(0);
  let a1 = a0;
  let a2 = a0;
  let a3 = a0;
  let b0 = a0;
  let b1 = a0;
  let b2 = a0;
  let b3 = a0;
  if (lead) {
    const x = v128.load32_splat(w);
    a0 = f32x4.mul(x, v128.load(rows));
    if (vectors > 1) a1 = f32x4.mul(x, v128.load(rows, 16));
    if (vectors > 2) a2 = f32x4.mul(x, v128.load(rows, 32));
    if (vectors > 2) a3 = f32x4.mul(x, v128.load(rows, 48));
    w += step;
    rows += row;
  }
  for (const end = w + <usize>count * step; w != end; w += step, rows += row) {
    const r0 = v128.load(rows);
    const r1 = vectors > 1 ? v128.load(rows, 16) : r0;
    const r2 = vectors > 2 ? v128.load(rows, 32) : r0;
    const r3 = vectors > 2 ? v128.load(rows, 48) : r0;
    let x = v128.load32_splat(w);
    a0 = mulAdd(a0, x, r0);
    if (vectors > 1) a1 = mulAdd(a1, x, r1);
    if (vectors > 2) a2 = mulAdd(a2, x, r2);
    if (vectors > 2) a3 = mulAdd(a3, x, r3);
    x = v128.load32_splat(w + other);
    b0 = mulAdd(b0, x, r0);
    if (vectors > 1) b1 = mulAdd(b1, x, r1);
    if (vectors > 2) b2 = mulAdd(b2, x, r2);
    if (vectors > 2) b3 = mulAdd(b3, x, r3);
  }
  if (trail) {
    const x = v128.load32_splat(w + other);
    b0 = mulAdd(b0, x, v128.load(rows));
    if (vectors > 1) b1 = mulAdd(b1, x, v128.load(rows, 16));
    if (vectors > 2) b2 = mulAdd(b2, x, v128.load(rows, 32));
    if (vectors > 2) b3 = mulAdd(b3, x, v128.load(rows, 48));
  }
  let k = splat(keep);
  let f = splat(factor);
  finish(to, a0, fresh, k, f);
  if (vectors > 1) finish(to + 16, a1, fresh, k, f);
  if (vectors > 2) finish(to + 32, a2, fresh, k, f);
  if (vectors > 2) finish(to + 48, a3, fresh, k, f);
  k = splat(keep + 4);
  f = splat(factor + 4);
  finish(second, b0, fresh, k, f);
  if (vectors > 1) finish(second + 16, b1, fresh, k, f);
  if (vectors > 2) finish(second + 32, b2, fresh, k, f);
  if (vectors > 2) finish(second + 48, b3, fresh, k, f);
}

/** to ← keep · to + sum for a row of any width, or ← sum where it is fresh. */
function addRow(to: usize, sum: usize, width: i32, fresh: bool, keep: f32): void {
  for (const end = to + bytes(width); to < end; to += 4, sum += 4) {
    store<f32>(to, fresh ? load<f32>(sum) : keep * load<f32>(to) + load<f32>(sum));
  }
}

// Rows in pairs, for one part of their columns. The loop over pairs is here: a call for each of them costs as much as its arithmetic.

// @ts-ignore: decorator
@inline
function queriesPart(
  to: usize,
  toRow: usize,
  w: usize,
  count: i32,
  rows: i32,
  from: usize,
  fromRow: usize,
  fresh: bool,
  keep: usize,
  factor: usize,
  spare: usize,
  vectors: i32,
): void {
  for (let i = 0; i < rows; i += 2) {
    const second = i + 1 < rows ? to + toRow : spare;
    pairPart(to, second, w, OTHER, TILE_ROW, from, fromRow, true, count - 1, true, fresh, keep, factor, vectors);
    to += 2 * toRow;
    w += 8;
    from += 2 * fromRow;
    keep += 8;
    factor += 8;
  }
}

// A byte of each lane of `bits` to the lane's sign and over the whole lane: 4 weights of a diagonal become 0 where it is 1.
// @ts-ignore: decorator
@inline
function dropFour(s: usize, bits: v128, place: i32, kept: v128): void {
  const gone = i32x4.shr_s(i32x4.shl(bits, 31 - 8 * place), 31);
  v128.store(s, v128.andnot(f32x4.mul(v128.load(s), kept), gone));
}

/**
 * Multiply rows of a tile by z, 0 where `dropped` is 1 and `kept` else. A query has `slots` bytes there, of which the first is for row 0.
 * Bytes are read by fours, where `count` is no multiple of 4 from before the first.
 */
export function drop(tile: usize, count: i32, rows: i32, dropped: usize, slots: usize, kept: f32): void {
  const factor = f32x4.splat(kept);
  const rest = count & 3;
  const behind = 8 * (4 - rest);
  for (; rows > 0; rows -= 4, tile += 16) {
    // Behind the last query the bytes of the last are read again, for weights that nothing reads
    const second = dropped + (rows > 1 ? slots : 0);
    const third = second + (rows > 2 ? slots : 0);
    const fourth = third + (rows > 3 ? slots : 0);
    let at = tile;
    let t: usize = 0;
    for (; t + 4 <= <usize>count; t += 4, at += 4 * TILE_ROW) {
      let bits = v128.load32_zero(dropped + t);
      bits = v128.load32_lane(second + t, bits, 1);
      bits = v128.load32_lane(third + t, bits, 2);
      bits = v128.load32_lane(fourth + t, bits, 3);
      dropFour(at, bits, 0, factor);
      dropFour(at + TILE_ROW, bits, 1, factor);
      dropFour(at + 2 * TILE_ROW, bits, 2, factor);
      dropFour(at + 3 * TILE_ROW, bits, 3, factor);
    }
    if (rest) {
      t = count - 4;
      let bits = v128.load32_zero(dropped + t);
      bits = v128.load32_lane(second + t, bits, 1);
      bits = v128.load32_lane(third + t, bits, 2);
      bits = v128.load32_lane(fourth + t, bits, 3);
      bits = i32x4.shr_u(bits, behind);
      dropFour(at, bits, 0, factor);
      if (rest > 1) dropFour(at + TILE_ROW, bits, 1, factor);
      if (rest > 2) dropFour(at + 2 * TILE_ROW, bits, 2, factor);
    }
    dropped = fourth + slots;
  }
}

/**
 * Weighted sums over the keys of a tile for its queries, to_i ← keep_i · to_i + factor_i · Σ_j w_ij x_j, or without the first where they are
 * fresh; x are rows of whole vectors, the first that of the first key. `spare` holds `rows` rows where the width is not whole vectors, and
 * one in any case.
 */
export function sumKeys(
  to: usize,
  toRow: usize,
  tile: usize,
  count: i32,
  rows: i32,
  from: usize,
  fromRow: usize,
  width: i32,
  fresh: bool,
  keep: usize,
  factor: usize,
  spare: usize,
): void {
  const whole = padded(width);
  if (whole != width) {
    const row = bytes(whole);
    sumKeys(spare, row, tile, count, rows, from, fromRow, whole, true, keep, factor, spare + <usize>rows * row);
    for (let i = 0; i < rows; i++) {
      addRow(to + <usize>i * toRow, spare + <usize>i * row, width, fresh, load<f32>(keep + bytes(i)));
    }
    return;
  }
  const end = bytes(width);
  let x: usize = 0;
  if (fresh) {
    for (; x + 64 <= end; x += 64) {
      queriesPart(to + x, toRow, tile, count, rows, from + x, fromRow, true, keep, factor, spare, 4);
    }
    for (; x + 32 <= end; x += 32) {
      queriesPart(to + x, toRow, tile, count, rows, from + x, fromRow, true, keep, factor, spare, 2);
    }
    if (x < end) queriesPart(to + x, toRow, tile, count, rows, from + x, fromRow, true, keep, factor, spare, 1);
    return;
  }
  for (; x + 64 <= end; x += 64) {
    queriesPart(to + x, toRow, tile, count, rows, from + x, fromRow, false, keep, factor, spare, 4);
  }
  for (; x + 32 <= end; x += 32) {
    queriesPart(to + x, toRow, tile, count, rows, from + x, fromRow, false, keep, factor, spare, 2);
  }
  if (x < end) queriesPart(to + x, toRow, tile, count, rows, from + x, fromRow, false, keep, factor, spare, 1);
}

// @ts-ignore: decorator
@inline
function keysPart(
  to: usize,
  toRow: usize,
  begin: i32,
  end: i32,
  tile: usize,
  count: i32,
  rows: i32,
  from: usize,
  fromRow: usize,
  keep: usize,
  factor: usize,
  spare: usize,
  vectors: i32,
): void {
  for (let j = begin; j < end; j += 2, to += 2 * toRow) {
    const i = max(0, j - count + 1);
    const lead = j >= count - 1;
    const trail = j + 1 < rows;
    const shared = min(rows, j + 2) - i - i32(lead) - i32(trail);
    const w = tile + <usize>(j - i) * TILE_ROW + bytes(i);
    const second = j + 1 < end ? to + toRow : spare;
    const x = from + <usize>i * fromRow;
    pairPart(to, second, w, TILE_ROW, OTHER, x, fromRow, lead, shared, trail, false, keep, factor, vectors);
  }
}

/**
 * The same for keys number `begin` to `end` of a tile over its queries, to_j += factor · Σ_i w_ij x_i; `to` is the row of the first of them,
 * `keep` two ones, and `factor` two numbers alike.
 */
export function sumQueries(
  to: usize,
  toRow: usize,
  begin: i32,
  end: i32,
  tile: usize,
  count: i32,
  rows: i32,
  from: usize,
  fromRow: usize,
  width: i32,
  keep: usize,
  factor: usize,
  spare: usize,
): void {
  const whole = padded(width);
  if (whole != width) {
    const row = bytes(whole);
    const behind = spare + <usize>(end - begin) * row;
    memory.fill(spare, 0, behind - spare);
    sumQueries(spare, row, begin, end, tile, count, rows, from, fromRow, whole, keep, factor, behind);
    for (let j = 0; j < end - begin; j++) {
      addRow(to + <usize>j * toRow, spare + <usize>j * row, width, false, 1);
    }
    return;
  }
  const last = bytes(width);
  let x: usize = 0;
  for (; x + 64 <= last; x += 64) {
    keysPart(to + x, toRow, begin, end, tile, count, rows, from + x, fromRow, keep, factor, spare, 4);
  }
  for (; x + 32 <= last; x += 32) {
    keysPart(to + x, toRow, begin, end, tile, count, rows, from + x, fromRow, keep, factor, spare, 2);
  }
  if (x < last) keysPart(to + x, toRow, begin, end, tile, count, rows, from + x, fromRow, keep, factor, spare, 1);
}
