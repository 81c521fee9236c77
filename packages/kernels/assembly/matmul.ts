import { first } from "./share";

// C = A B + bias + residual in tiles of 4 × 8 whose sums stay in registers. B is read in panels of 8 columns: packed ones, or, where its
// rows are contiguous and not read often enough to pay for packing, as it lies. Eight accumulators, two vectors of B and one of A are what
// 15 registers hold; neither unrolling nor more accumulators is faster (V8 spills them).

/** Rows of B in one pass: what is summed in registers, before sums are added to C. */
// @ts-ignore: decorator
@inline
const CHUNK: i32 = 256;

/**
 * Copy B into panels of 8 columns, (batch, ⌈m / 8⌉, k, 8), the last filled up with zeros.
 * words: 0 B · 1 panels · 2 k · 3 m · 4 row stride · 5 column stride · 6 batches · 7 batch stride; strides in bytes
 */
export function matmulPack(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const k = <usize>load<u32>(at, 8);
  const m = load<i32>(at, 12);
  const rowStride = <isize>load<i32>(at, 16);
  const columnStride = <isize>load<i32>(at, 20);
  const panels = (m + 7) >> 3;
  const units = panels * load<i32>(at, 24);
  const last = first(units, worker + 1, workers);
  for (let unit = first(units, worker, workers); unit < last; unit++) {
    const column = (unit % panels) << 3;
    const width = min(8, m - column);
    let to = <usize>load<u32>(at, 4) + <usize>unit * (k << 5);
    let from = <usize>load<u32>(at) + <usize>(unit / panels) * <usize>load<u32>(at, 28) + <isize>column * columnStride;
    if (width == 8 && columnStride == 4) {
      for (let end = to + (k << 5); to < end; to += 32, from += rowStride) {
        v128.store(to, v128.load(from));
        v128.store(to, v128.load(from, 16), 16);
      }
      continue;
    }
    for (let p: usize = 0; p < k; p++, to += 32, from += rowStride) {
      let c = 0;
      for (let source = from; c < width; c++, source += columnStride) {
        store<f32>(to + (<usize>c << 2), load<f32>(source));
      }
      for (; c < 8; c++) store<f32>(to + (<usize>c << 2), 0);
    }
  }
}

/**
 * words, strides in bytes:
 *   0 A · 1 B, or its panels · 2 C · 3 n · 4 k · 5 m · 6 A's row stride · 7 its column stride · 8 B's row stride (32 for panels) ·
 *   9 from one panel of 8 columns to the next · 10 C's row stride ·
 *   11–13 sizes of three batch axes · 14–16 A's strides along them · 17–19 B's · 20–22 C's ·
 *   23 bias (m) or 0 · 24 residual, laid out as C, or 0 · 25 rows of a unit, a multiple of 4 · 26 columns of a unit, a multiple of 8
 * scratch: 128 bytes
 */
export function matmul(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const n = load<i32>(at, 12);
  const k = load<i32>(at, 16);
  const m = load<i32>(at, 20);
  const rowA = <isize>load<i32>(at, 24);
  const columnA = <isize>load<i32>(at, 28);
  const rowB = <isize>load<i32>(at, 32);
  const panelB = <isize>load<i32>(at, 36);
  const rowC = <isize>load<i32>(at, 40);
  const b1 = load<i32>(at, 48);
  const b2 = load<i32>(at, 52);
  const bias = <usize>load<u32>(at, 92);
  const residual = <usize>load<u32>(at, 96);
  const rows = load<i32>(at, 100);
  const columns = load<i32>(at, 104);
  const rowBlocks = (n + rows - 1) / rows;
  const columnBlocks = (m + columns - 1) / columns;
  const blocks = rowBlocks * columnBlocks;
  const units = load<i32>(at, 44) * b1 * b2 * blocks;
  const from = first(units, worker, workers);
  const to = first(units, worker + 1, workers);
  // All units of this worker go through a chunk of k before the next, so that the chunk of a shared B stays in cache.
  for (let p = 0; p == 0 || p < k; p += CHUNK) {
    const depth = min(CHUNK, k - p);
    const begins = p == 0;
    const ends = p + CHUNK >= k;
    for (let unit = from; unit < to; unit++) {
      const batch = unit / blocks;
      const i0 = batch / (b1 * b2);
      const i1 = (batch / b2) % b1;
      const i2 = batch % b2;
      const rowBegin = ((unit % blocks) / columnBlocks) * rows;
      const columnBegin = (unit % columnBlocks) * columns;
      const rowEnd = min(n, rowBegin + rows);
      const columnEnd = min(m, columnBegin + columns);
      const a =
        <usize>load<u32>(at) + offset(at + 56, i0, i1, i2) + <isize>rowBegin * rowA + <isize>p * columnA;
      const b = <usize>load<u32>(at, 4) + offset(at + 68, i0, i1, i2) + <isize>p * rowB;
      const shift = offset(at + 80, i0, i1, i2) + <isize>rowBegin * rowC;
      const c = <usize>load<u32>(at, 8) + shift;
      for (let column = columnBegin; column < columnEnd; column += 8) {
        const panel = b + <isize>(column >> 3) * panelB;
        const width = min(8, columnEnd - column);
        const along = <usize>column << 2;
        const added = ends && residual != 0 ? residual + shift + along : 0;
        const start = begins && bias != 0 ? bias + along : 0;
        let row = rowBegin;
        let left = a;
        let target = c + along;
        let extra = added;
        for (; row + 4 <= rowEnd; row += 4) {
          const whole = width == 8;
          const place = whole ? target : scratch;
          const stride = whole ? rowC : 32;
          if (!whole && !begins) gatherTile(scratch, target, rowC, 4, width);
          if (rowA == 4) tileOfColumns(left, columnA, panel, rowB, depth, place, stride, begins, start);
          else tileOfRows(left, rowA, columnA, panel, rowB, depth, place, stride, begins, start);
          if (!whole) scatterTile(target, scratch, rowC, 4, width);
          if (extra) {
            addTile(target, extra, rowC, 4, width);
            extra += 4 * rowC;
          }
          left += 4 * rowA;
          target += 4 * rowC;
        }
        for (; row < rowEnd; row++) {
          const whole = width == 8;
          if (!whole && !begins) gatherTile(scratch, target, rowC, 1, width);
          oneRow(left, columnA, panel, rowB, depth, whole ? target : scratch, begins, start);
          if (!whole) scatterTile(target, scratch, rowC, 1, width);
          if (extra) {
            addTile(target, extra, rowC, 1, width);
            extra += rowC;
          }
          left += rowA;
          target += rowC;
        }
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function offset(strides: usize, i0: i32, i1: i32, i2: i32): isize {
  return (
    <isize>i0 * <isize>load<i32>(strides) +
    <isize>i1 * <isize>load<i32>(strides, 4) +
    <isize>i2 * <isize>load<i32>(strides, 8)
  );
}

/** Write a tile, or add it to what stands there. */
// @ts-ignore: decorator
@inline
function put(to: usize, x: v128, begins: bool, start: usize): void {
  if (!begins) v128.store(to, f32x4.add(v128.load(to), x));
  else v128.store(to, start ? f32x4.add(v128.load(start), x) : x);
}

/** Four rows of A, each with its numbers along k `columnA` apart. */
function tileOfRows(
  a: usize,
  rowA: isize,
  columnA: isize,
  b: usize,
  rowB: isize,
  depth: i32,
  c: usize,
  rowC: isize,
  begins: bool,
  start: usize,
): void {
  let c00 = f32x4.splat(0), c01 = c00, c10 = c00, c11 = c00;
  let c20 = c00, c21 = c00, c30 = c00, c31 = c00;
  const row2 = rowA + rowA;
  const row3 = row2 + rowA;
  for (let end = b + <isize>depth * rowB; b != end; b += rowB, a += columnA) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const a0 = v128.load32_splat(a);
    c00 = f32x4.add(c00, f32x4.mul(a0, b0));
    c01 = f32x4.add(c01, f32x4.mul(a0, b1));
    const a1 = v128.load32_splat(a + rowA);
    c10 = f32x4.add(c10, f32x4.mul(a1, b0));
    c11 = f32x4.add(c11, f32x4.mul(a1, b1));
    const a2 = v128.load32_splat(a + row2);
    c20 = f32x4.add(c20, f32x4.mul(a2, b0));
    c21 = f32x4.add(c21, f32x4.mul(a2, b1));
    const a3 = v128.load32_splat(a + row3);
    c30 = f32x4.add(c30, f32x4.mul(a3, b0));
    c31 = f32x4.add(c31, f32x4.mul(a3, b1));
  }
  const second = start ? start + 16 : 0;
  put(c, c00, begins, start);
  put(c + 16, c01, begins, second);
  put(c + rowC, c10, begins, start);
  put(c + rowC + 16, c11, begins, second);
  put(c + 2 * rowC, c20, begins, start);
  put(c + 2 * rowC + 16, c21, begins, second);
  put(c + 3 * rowC, c30, begins, start);
  put(c + 3 * rowC + 16, c31, begins, second);
}

/** Four rows of A that lie side by side: A transposed. */
function tileOfColumns(
  a: usize,
  columnA: isize,
  b: usize,
  rowB: isize,
  depth: i32,
  c: usize,
  rowC: isize,
  begins: bool,
  start: usize,
): void {
  let c00 = f32x4.splat(0), c01 = c00, c10 = c00, c11 = c00;
  let c20 = c00, c21 = c00, c30 = c00, c31 = c00;
  for (let end = b + <isize>depth * rowB; b != end; b += rowB, a += columnA) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const a0 = v128.load32_splat(a);
    c00 = f32x4.add(c00, f32x4.mul(a0, b0));
    c01 = f32x4.add(c01, f32x4.mul(a0, b1));
    const a1 = v128.load32_splat(a, 4);
    c10 = f32x4.add(c10, f32x4.mul(a1, b0));
    c11 = f32x4.add(c11, f32x4.mul(a1, b1));
    const a2 = v128.load32_splat(a, 8);
    c20 = f32x4.add(c20, f32x4.mul(a2, b0));
    c21 = f32x4.add(c21, f32x4.mul(a2, b1));
    const a3 = v128.load32_splat(a, 12);
    c30 = f32x4.add(c30, f32x4.mul(a3, b0));
    c31 = f32x4.add(c31, f32x4.mul(a3, b1));
  }
  const second = start ? start + 16 : 0;
  put(c, c00, begins, start);
  put(c + 16, c01, begins, second);
  put(c + rowC, c10, begins, start);
  put(c + rowC + 16, c11, begins, second);
  put(c + 2 * rowC, c20, begins, start);
  put(c + 2 * rowC + 16, c21, begins, second);
  put(c + 3 * rowC, c30, begins, start);
  put(c + 3 * rowC + 16, c31, begins, second);
}

function oneRow(
  a: usize,
  columnA: isize,
  b: usize,
  rowB: isize,
  depth: i32,
  c: usize,
  begins: bool,
  start: usize,
): void {
  let c0 = f32x4.splat(0);
  let c1 = c0;
  for (let end = b + <isize>depth * rowB; b != end; b += rowB, a += columnA) {
    const x = v128.load32_splat(a);
    c0 = f32x4.add(c0, f32x4.mul(x, v128.load(b)));
    c1 = f32x4.add(c1, f32x4.mul(x, v128.load(b, 16)));
  }
  put(c, c0, begins, start);
  put(c + 16, c1, begins, start ? start + 16 : 0);
}

// Tiles at the right edge are worked on in scratch, 8 columns wide.

function gatherTile(tile: usize, c: usize, rowC: isize, height: i32, width: i32): void {
  for (let r = 0; r < height; r++) {
    for (let i: usize = 0; i < <usize>width << 2; i += 4) store<f32>(tile + (<usize>r << 5) + i, load<f32>(c + <isize>r * rowC + i));
  }
}

function scatterTile(c: usize, tile: usize, rowC: isize, height: i32, width: i32): void {
  for (let r = 0; r < height; r++) {
    for (let i: usize = 0; i < <usize>width << 2; i += 4) store<f32>(c + <isize>r * rowC + i, load<f32>(tile + (<usize>r << 5) + i));
  }
}

function addTile(c: usize, x: usize, row: isize, height: i32, width: i32): void {
  for (let r = 0; r < height; r++) {
    const to = c + <isize>r * row;
    const from = x + <isize>r * row;
    if (width == 8) {
      v128.store(to, f32x4.add(v128.load(to), v128.load(from)));
      v128.store(to, f32x4.add(v128.load(to, 16), v128.load(from, 16)), 16);
    } else for (let i: usize = 0; i < <usize>width << 2; i += 4) store<f32>(to + i, load<f32>(to + i) + load<f32>(from + i));
  }
}

/**
 * Matrix times vector, c_i = Σ_p a_ip b_p + bias + residual_i, rows of A contiguous: a dot product each.
 * words: those of matmul, the batch axes joined to one: 11 its size · 14, 17, 20 its strides
 */
export function matmulVector(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const n = load<i32>(at, 12);
  const k = load<i32>(at, 16);
  const bias = <usize>load<u32>(at, 92);
  const residual = <usize>load<u32>(at, 96);
  const units = load<i32>(at, 44) * n;
  const last = first(units, worker + 1, workers);
  for (let unit = first(units, worker, workers); unit < last; unit++) {
    const batch = <isize>(unit / n);
    const row = <isize>(unit % n);
    const a = <usize>load<u32>(at) + batch * <isize>load<i32>(at, 56) + row * <isize>load<i32>(at, 24);
    const b = <usize>load<u32>(at, 4) + batch * <isize>load<i32>(at, 68);
    const shift = batch * <isize>load<i32>(at, 80) + row * <isize>load<i32>(at, 40);
    let total: f64 = 0;
    for (let p = 0; p < k; p += CHUNK) total += dot(a + (<usize>p << 2), b + (<usize>p << 2), min(CHUNK, k - p));
    if (bias) total += load<f32>(bias);
    if (residual) total += load<f32>(residual + shift);
    store<f32>(<usize>load<u32>(at, 8) + shift, <f32>total);
  }
}

function dot(x: usize, y: usize, n: i32): f64 {
  let a = f32x4.splat(0), b = a, c = a, d = a;
  const end = x + (<usize>n << 2);
  for (; x + 64 <= end; x += 64, y += 64) {
    a = f32x4.add(a, f32x4.mul(v128.load(x), v128.load(y)));
    b = f32x4.add(b, f32x4.mul(v128.load(x, 16), v128.load(y, 16)));
    c = f32x4.add(c, f32x4.mul(v128.load(x, 32), v128.load(y, 32)));
    d = f32x4.add(d, f32x4.mul(v128.load(x, 48), v128.load(y, 48)));
  }
  a = f32x4.add(f32x4.add(a, b), f32x4.add(c, d));
  let total: f64 =
    <f64>f32x4.extract_lane(a, 0) + f32x4.extract_lane(a, 1) + (<f64>f32x4.extract_lane(a, 2) + f32x4.extract_lane(a, 3));
  for (; x < end; x += 4, y += 4) total += <f64>load<f32>(x) * load<f32>(y);
  return total;
}

// The same in other dtypes, a row of C at a time: words as those of matmul, B as it lies, neither bias nor residual. A unit is one row.
function matmulOf<T>(at: usize, worker: i32, workers: i32): void {
  const n = load<i32>(at, 12);
  const k = load<i32>(at, 16);
  const m = load<i32>(at, 20);
  const rowA = <isize>load<i32>(at, 24);
  const columnA = <isize>load<i32>(at, 28);
  const rowB = <isize>load<i32>(at, 32);
  const columnB = <isize>load<i32>(at, 36);
  const b1 = load<i32>(at, 48);
  const b2 = load<i32>(at, 52);
  const units = load<i32>(at, 44) * b1 * b2 * n;
  const last = first(units, worker + 1, workers);
  for (let unit = first(units, worker, workers); unit < last; unit++) {
    const batch = unit / n;
    const i0 = batch / (b1 * b2);
    const i1 = (batch / b2) % b1;
    const i2 = batch % b2;
    const row = <isize>(unit % n);
    const a = <usize>load<u32>(at) + offset(at + 56, i0, i1, i2) + row * rowA;
    const b = <usize>load<u32>(at, 4) + offset(at + 68, i0, i1, i2);
    const c = <usize>load<u32>(at, 8) + offset(at + 80, i0, i1, i2) + row * <isize>load<i32>(at, 40);
    for (let j: isize = 0; j < m; j++) {
      let total: T = 0;
      let x = a;
      let y = b + j * columnB;
      for (let p = 0; p < k; p++, x += columnA, y += rowB) total += load<T>(x) * load<T>(y);
      store<T>(c + j * sizeof<T>(), total);
    }
  }
}

export function matmul_float64(at: usize, scratch: usize, worker: i32, workers: i32): void {
  matmulOf<f64>(at, worker, workers);
}

export function matmul_int32(at: usize, scratch: usize, worker: i32, workers: i32): void {
  matmulOf<i32>(at, worker, workers);
}
