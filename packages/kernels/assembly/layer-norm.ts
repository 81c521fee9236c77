import { first } from "./share";

// Four rows are worked on at a time, so that their sums share the steps across lanes. In a group at the end that has
// fewer, the last row stands in for those that lack.

// Bytes of a row that are summed on their own.
// @ts-ignore: decorator
@inline
const BLOCK: usize = 1024;

// Rows whose share of the cotangents of gain and bias is summed on its own.
// @ts-ignore: decorator
@inline
const ROWS: i32 = 128;

// @ts-ignore: decorator
@inline
function splatLane(x: v128, lane: u8): v128 {
  if (lane == 0) return v128.shuffle<f32>(x, x, 0, 0, 0, 0);
  if (lane == 1) return v128.shuffle<f32>(x, x, 1, 1, 1, 1);
  if (lane == 2) return v128.shuffle<f32>(x, x, 2, 2, 2, 2);
  return v128.shuffle<f32>(x, x, 3, 3, 3, 3);
}

/** The sums of four vectors. */
// @ts-ignore: decorator
@inline
function sums(a: v128, b: v128, c: v128, d: v128): v128 {
  const ab = f32x4.add(v128.shuffle<f32>(a, b, 0, 4, 1, 5), v128.shuffle<f32>(a, b, 2, 6, 3, 7));
  const cd = f32x4.add(v128.shuffle<f32>(c, d, 0, 4, 1, 5), v128.shuffle<f32>(c, d, 2, 6, 3, 7));
  return f32x4.add(v128.shuffle<f32>(ab, cd, 0, 1, 4, 5), v128.shuffle<f32>(ab, cd, 2, 3, 6, 7));
}

/** One column of four rows. */
// @ts-ignore: decorator
@inline
function column(x: usize, o1: usize, o2: usize, o3: usize): v128 {
  return f32x4(load<f32>(x), load<f32>(x + o1), load<f32>(x + o2), load<f32>(x + o3));
}

// @ts-ignore: decorator
@inline
function storeColumn(y: usize, o1: usize, o2: usize, o3: usize, x: v128): void {
  store<f32>(y, f32x4.extract_lane(x, 0));
  store<f32>(y + o1, f32x4.extract_lane(x, 1));
  store<f32>(y + o2, f32x4.extract_lane(x, 2));
  store<f32>(y + o3, f32x4.extract_lane(x, 3));
}

// @ts-ignore: decorator
@inline
function term(x: v128, center: v128, squared: bool): v128 {
  if (!squared) return x;
  const centered = f32x4.sub(x, center);
  return f32x4.mul(centered, centered);
}

/** The sums of four rows of `row` bytes, or of the squares of their distances from `center`. */
// @ts-ignore: decorator
@inline
function rowSums(x: usize, o1: usize, o2: usize, o3: usize, row: usize, center: v128, squared: bool): v128 {
  const body = row & ~15;
  const c0 = splatLane(center, 0);
  const c1 = splatLane(center, 1);
  const c2 = splatLane(center, 2);
  const c3 = splatLane(center, 3);
  let sum = f32x4.splat(0);
  for (let begin: usize = 0; begin < body; begin += BLOCK) {
    const end = x + min(body, begin + BLOCK);
    let s0 = f32x4.splat(0);
    let s1 = s0;
    let s2 = s0;
    let s3 = s0;
    for (let at = x + begin; at < end; at += 16) {
      s0 = f32x4.add(s0, term(v128.load(at), c0, squared));
      s1 = f32x4.add(s1, term(v128.load(at + o1), c1, squared));
      s2 = f32x4.add(s2, term(v128.load(at + o2), c2, squared));
      s3 = f32x4.add(s3, term(v128.load(at + o3), c3, squared));
    }
    sum = f32x4.add(sum, sums(s0, s1, s2, s3));
  }
  for (let at = x + body; at < x + row; at += 4) {
    sum = f32x4.add(sum, term(column(at, o1, o2, o3), center, squared));
  }
  return sum;
}

/**
 * Rows of mean 0 and variance 1, stretched and shifted, and the mean and 1/√(variance + ε) of each:
 * words: 0 x (rows, c) · 1 gain (c) · 2 bias (c) · 3 y (rows, c) · 4 center (rows) · 5 inverse (rows) ·
 *   6 rows · 7 c · 8 ε; all contiguous, y may be x
 * scratch: none
 */
export function layerNorm(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const gain = <usize>load<u32>(at, 4);
  const bias = <usize>load<u32>(at, 8);
  const rows = load<i32>(at, 24);
  const c = load<i32>(at, 28);
  const eps = f32x4.splat(load<f32>(at, 32));
  const width = f32x4.splat(<f32>c);
  const row = <usize>c << 2;
  const body = row & ~15;

  const groups = (rows + 3) / 4;
  const last = first(groups, worker + 1, workers);
  for (let group = first(groups, worker, workers); group < last; group++) {
    const i = <usize>group * 4;
    const present = <usize>rows - i;
    const r1 = min<usize>(1, present - 1);
    const r2 = min<usize>(2, present - 1);
    const r3 = min<usize>(3, present - 1);
    const o1 = r1 * row;
    const o2 = r2 * row;
    const o3 = r3 * row;
    const x = <usize>load<u32>(at) + i * row;
    const y = <usize>load<u32>(at, 12) + i * row;
    const center = f32x4.div(rowSums(x, o1, o2, o3, row, eps, false), width);
    const variance = f32x4.div(rowSums(x, o1, o2, o3, row, center, true), width);
    const inverse = f32x4.div(f32x4.splat(1), f32x4.sqrt(f32x4.add(variance, eps)));
    storeColumn(<usize>load<u32>(at, 16) + (i << 2), r1 << 2, r2 << 2, r3 << 2, center);
    storeColumn(<usize>load<u32>(at, 20) + (i << 2), r1 << 2, r2 << 2, r3 << 2, inverse);
    const c0 = splatLane(center, 0);
    const c1 = splatLane(center, 1);
    const c2 = splatLane(center, 2);
    const c3 = splatLane(center, 3);
    const i0 = splatLane(inverse, 0);
    const i1 = splatLane(inverse, 1);
    const i2 = splatLane(inverse, 2);
    const i3 = splatLane(inverse, 3);
    for (let p: usize = 0; p < body; p += 16) {
      const scale = v128.load(gain + p);
      const shift = v128.load(bias + p);
      const from = x + p;
      const y0 = f32x4.mul(f32x4.sub(v128.load(from), c0), i0);
      const y1 = f32x4.mul(f32x4.sub(v128.load(from + o1), c1), i1);
      const y2 = f32x4.mul(f32x4.sub(v128.load(from + o2), c2), i2);
      const y3 = f32x4.mul(f32x4.sub(v128.load(from + o3), c3), i3);
      const to = y + p;
      v128.store(to, f32x4.add(f32x4.mul(y0, scale), shift));
      v128.store(to + o1, f32x4.add(f32x4.mul(y1, scale), shift));
      v128.store(to + o2, f32x4.add(f32x4.mul(y2, scale), shift));
      v128.store(to + o3, f32x4.add(f32x4.mul(y3, scale), shift));
    }
    for (let p = body; p < row; p += 4) {
      const normal = f32x4.mul(f32x4.sub(column(x + p, o1, o2, o3), center), inverse);
      const z = f32x4.add(f32x4.mul(normal, v128.load32_splat(gain + p)), v128.load32_splat(bias + p));
      storeColumn(y + p, o1, o2, o3, z);
    }
  }
}

/**
 * With y the row before gain and bias, and h = g · gain: dx = (h − mean h − y · mean(h · y)) · inverse, and the sums of
 * g · y and g over blocks of 128 rows, the partial cotangents of gain and bias:
 * words: 0 x (rows, c) · 1 gain (c) · 2 center (rows) · 3 inverse (rows) · 4 g (rows, c) · 5 dx (rows, c) or 0 ·
 *   6 residual (rows, c), added to dx, or 0 · 7 partials (⌈rows / 128⌉, 2, c) or 0 · 8 rows · 9 c;
 *   all contiguous, dx may be x, g or residual
 * scratch: none
 */
export function layerNormPullback(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const partials = <usize>load<u32>(at, 28);
  const rows = load<i32>(at, 32);
  const row = <usize>load<u32>(at, 36) << 2;

  const blocks = (rows + ROWS - 1) / ROWS;
  const last = first(blocks, worker + 1, workers);
  for (let block = first(blocks, worker, workers); block < last; block++) {
    const sum = partials + <usize>block * 2 * row;
    const end = min(rows, (block + 1) * ROWS);
    if (partials) memory.fill(sum, 0, 2 * row);
    let i = block * ROWS;
    for (; i + 4 <= end; i += 4) pullRows(at, <usize>i, row, row, partials ? sum : 0);
    for (; i < end; i++) pullRows(at, <usize>i, row, 0, partials ? sum : 0);
  }
}

/** Four rows, `step` bytes apart, or one row four times where that is 0. */
function pullRows(at: usize, i: usize, row: usize, step: usize, partials: usize): void {
  const o1 = step;
  const o2: usize = 2 * step;
  const o3: usize = 3 * step;
  const body = row & ~15;
  const x = <usize>load<u32>(at) + i * row;
  const g = <usize>load<u32>(at, 16) + i * row;
  const gain = <usize>load<u32>(at, 4);
  const r1: usize = step ? 4 : 0;
  const center = column(<usize>load<u32>(at, 8) + (i << 2), r1, 2 * r1, 3 * r1);
  const inverse = column(<usize>load<u32>(at, 12) + (i << 2), r1, 2 * r1, 3 * r1);
  const c0 = splatLane(center, 0);
  const c1 = splatLane(center, 1);
  const c2 = splatLane(center, 2);
  const c3 = splatLane(center, 3);
  const i0 = splatLane(inverse, 0);
  const i1 = splatLane(inverse, 1);
  const i2 = splatLane(inverse, 2);
  const i3 = splatLane(inverse, 3);

  if (partials) {
    for (let p: usize = 0; p < body; p += 16) {
      const from = x + p;
      const ct = g + p;
      let ofBias = v128.load(ct);
      let ofGain = f32x4.mul(ofBias, f32x4.mul(f32x4.sub(v128.load(from), c0), i0));
      if (step) {
        const g1 = v128.load(ct + o1);
        const g2 = v128.load(ct + o2);
        const g3 = v128.load(ct + o3);
        const t1 = f32x4.mul(g1, f32x4.mul(f32x4.sub(v128.load(from + o1), c1), i1));
        const t2 = f32x4.mul(g2, f32x4.mul(f32x4.sub(v128.load(from + o2), c2), i2));
        const t3 = f32x4.mul(g3, f32x4.mul(f32x4.sub(v128.load(from + o3), c3), i3));
        ofBias = f32x4.add(f32x4.add(ofBias, g1), f32x4.add(g2, g3));
        ofGain = f32x4.add(f32x4.add(ofGain, t1), f32x4.add(t2, t3));
      }
      const sum = partials + p;
      v128.store(sum, f32x4.add(v128.load(sum), ofGain));
      v128.store(sum + row, f32x4.add(v128.load(sum + row), ofBias));
    }
    for (let p = body; p < row; p += 4) {
      const ct = column(g + p, o1, o2, o3);
      const normal = f32x4.mul(f32x4.sub(column(x + p, o1, o2, o3), center), inverse);
      const sum = partials + p;
      store<f32>(sum, load<f32>(sum) + sumOf(f32x4.mul(ct, normal), step));
      store<f32>(sum + row, load<f32>(sum + row) + sumOf(ct, step));
    }
  }

  if (!load<u32>(at, 20)) return;
  const zero = f32x4.splat(0);
  let ofMean = zero;
  let along = zero;
  for (let begin: usize = 0; begin < body; begin += BLOCK) {
    const end = min(body, begin + BLOCK);
    let h0 = zero;
    let h1 = zero;
    let h2 = zero;
    let h3 = zero;
    let t0 = zero;
    let t1 = zero;
    let t2 = zero;
    let t3 = zero;
    for (let p = begin; p < end; p += 16) {
      const scale = v128.load(gain + p);
      const from = x + p;
      const ct = g + p;
      let h = f32x4.mul(v128.load(ct), scale);
      h0 = f32x4.add(h0, h);
      t0 = f32x4.add(t0, f32x4.mul(h, f32x4.sub(v128.load(from), c0)));
      h = f32x4.mul(v128.load(ct + o1), scale);
      h1 = f32x4.add(h1, h);
      t1 = f32x4.add(t1, f32x4.mul(h, f32x4.sub(v128.load(from + o1), c1)));
      h = f32x4.mul(v128.load(ct + o2), scale);
      h2 = f32x4.add(h2, h);
      t2 = f32x4.add(t2, f32x4.mul(h, f32x4.sub(v128.load(from + o2), c2)));
      h = f32x4.mul(v128.load(ct + o3), scale);
      h3 = f32x4.add(h3, h);
      t3 = f32x4.add(t3, f32x4.mul(h, f32x4.sub(v128.load(from + o3), c3)));
    }
    ofMean = f32x4.add(ofMean, sums(h0, h1, h2, h3));
    along = f32x4.add(along, sums(t0, t1, t2, t3));
  }
  for (let p = body; p < row; p += 4) {
    const h = f32x4.mul(column(g + p, o1, o2, o3), v128.load32_splat(gain + p));
    ofMean = f32x4.add(ofMean, h);
    along = f32x4.add(along, f32x4.mul(h, f32x4.sub(column(x + p, o1, o2, o3), center)));
  }
  const width = f32x4.splat(<f32>(row >> 2));
  const mean = f32x4.div(ofMean, width);
  const slope = f32x4.mul(f32x4.mul(f32x4.div(along, width), inverse), inverse);
  pullRow(at, i, row, c0, i0, splatLane(mean, 0), splatLane(slope, 0));
  if (!step) return;
  pullRow(at, i + 1, row, c1, i1, splatLane(mean, 1), splatLane(slope, 1));
  pullRow(at, i + 2, row, c2, i2, splatLane(mean, 2), splatLane(slope, 2));
  pullRow(at, i + 3, row, c3, i3, splatLane(mean, 3), splatLane(slope, 3));
}

/** dx = ((h − mean) − (x − center) · slope) · inverse + residual */
// @ts-ignore: decorator
@inline
function pullRow(at: usize, i: usize, row: usize, center: v128, inverse: v128, mean: v128, slope: v128): void {
  const offset = i * row;
  const x = <usize>load<u32>(at) + offset;
  const g = <usize>load<u32>(at, 16) + offset;
  const dx = <usize>load<u32>(at, 20) + offset;
  const gain = <usize>load<u32>(at, 4);
  const body = row & ~15;
  if (load<u32>(at, 24)) {
    const residual = <usize>load<u32>(at, 24) + offset;
    for (let p: usize = 0; p < body; p += 16) {
      const y = cotangent(v128.load(x + p), v128.load(g + p), v128.load(gain + p), center, inverse, mean, slope);
      v128.store(dx + p, f32x4.add(y, v128.load(residual + p)));
    }
    for (let p = body; p < row; p += 4) {
      const h = v128.load32_splat(g + p);
      const y = cotangent(v128.load32_splat(x + p), h, v128.load32_splat(gain + p), center, inverse, mean, slope);
      store<f32>(dx + p, f32x4.extract_lane(y, 0) + load<f32>(residual + p));
    }
    return;
  }
  for (let p: usize = 0; p < body; p += 16) {
    const y = cotangent(v128.load(x + p), v128.load(g + p), v128.load(gain + p), center, inverse, mean, slope);
    v128.store(dx + p, y);
  }
  for (let p = body; p < row; p += 4) {
    const h = v128.load32_splat(g + p);
    const y = cotangent(v128.load32_splat(x + p), h, v128.load32_splat(gain + p), center, inverse, mean, slope);
    store<f32>(dx + p, f32x4.extract_lane(y, 0));
  }
}

// @ts-ignore: decorator
@inline
function cotangent(x: v128, g: v128, gain: v128, center: v128, inverse: v128, mean: v128, slope: v128): v128 {
  const h = f32x4.sub(f32x4.mul(g, gain), mean);
  return f32x4.mul(f32x4.sub(h, f32x4.mul(f32x4.sub(x, center), slope)), inverse);
}

/** The sum of four lanes, or the first where they stand for one row. */
// @ts-ignore: decorator
@inline
function sumOf(x: v128, step: usize): f32 {
  const one = f32x4.extract_lane(x, 0);
  if (!step) return one;
  return one + f32x4.extract_lane(x, 1) + (f32x4.extract_lane(x, 2) + f32x4.extract_lane(x, 3));
}

/**
 * The cotangents of gain and bias from those of blocks of rows, in their order, sixteen summed on their own at a time:
 * words: 0 partials (blocks, 2, c) · 1 dgain (c) or 0 · 2 dbias (c) or 0 · 3 blocks, ⌈rows / 128⌉ · 4 c
 * scratch: none
 */
export function layerNormPullbackSum(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const partials = <usize>load<u32>(at);
  const blocks = load<i32>(at, 12);
  const row = <usize>load<u32>(at, 16) << 2;
  const pieces = <i32>((row + 63) >> 6);
  const begin = <usize>first(pieces, worker, workers) << 6;
  const end = min(row, <usize>first(pieces, worker + 1, workers) << 6);
  for (let which: usize = 0; which < 2; which++) {
    const to = <usize>load<u32>(at + (which << 2), 4);
    if (!to) continue;
    const from = partials + which * row;
    let p = begin;
    for (; p + 16 <= end; p += 16) {
      let sum = f32x4.splat(0);
      for (let block = 0; block < blocks; ) {
        let part = f32x4.splat(0);
        for (const next = min(blocks, block + 16); block < next; block++) {
          part = f32x4.add(part, v128.load(from + <usize>block * 2 * row + p));
        }
        sum = f32x4.add(sum, part);
      }
      v128.store(to + p, sum);
    }
    for (; p < end; p += 4) {
      let sum: f32 = 0;
      for (let block = 0; block < blocks; ) {
        let part: f32 = 0;
        for (const next = min(blocks, block + 16); block < next; block++) {
          part += load<f32>(from + <usize>block * 2 * row + p);
        }
        sum += part;
      }
      store<f32>(to + p, sum);
    }
  }
}
