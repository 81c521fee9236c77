import { copyRows } from "./low-rank-tile";
import { first } from "./share";

// C = A B + bias + residual in tiles of 2 × 16 whose sums stay in registers: 8 accumulators, four vectors of B and one
// of A are what 15 registers hold; neither unrolling nor more accumulators is faster (V8 spills). B is packed into
// panels of 16 columns, or read as it lies where few rows of A share it. A is read as it lies: two rows cost one address
// more than packed ones. Where it lies transposed, that is a cache line for every number: those of a block stay in the
// cache for its other rows. Lines that lie far apart push each other out: then the block is copied first. What is left on
// the right, up to 8 columns, takes tiles of 4 × 8.

/** Terms of k in one pass: what is summed in registers, before sums are added to C. */
// @ts-ignore: decorator
@inline
const CHUNK: i32 = 256;
/** The same where A lies transposed: a block of rows is half the first-level cache. */
// @ts-ignore: decorator
@inline
const CHUNK_ACROSS: i32 = 64;
/** Numbers of B that are packed at a time: 64 KB. */
// @ts-ignore: decorator
@inline
const PACKED: i32 = 16384;
/** Rows of A that every panel of B goes over before the next rows. */
// @ts-ignore: decorator
@inline
const ROWS: i32 = 64;
// @ts-ignore: decorator
@inline
const MAX_COLUMNS: i32 = 256;
/** Where things lie in scratch: a tile, the start of its sums at the right edge, zeros, a block of transposed A, packed B. */
// @ts-ignore: decorator
@inline
const START: usize = 128;
// @ts-ignore: decorator
@inline
const ZEROS: usize = 192;
// @ts-ignore: decorator
@inline
const BLOCK: usize = 256;
// @ts-ignore: decorator
@inline
const PACKED_B: usize = BLOCK + 4 * ROWS * CHUNK_ACROSS;

/**
 * words, strides in bytes:
 *   0 A (n, k) · 1 B (k, m) · 2 C (n, m) · 3 n · 4 k · 5 m · 6 A's row stride · 7 its column stride ·
 *   8 B's row stride · 9 its column stride · 10 C's row stride · 11–13 sizes of three batch axes ·
 *   14–16 A's strides along them · 17–19 B's · 20–22 C's · 23 bias (m) or 0 ·
 *   24 residual, laid out as C, or 0; it may lie on C · 25 activation, always 0
 * Of A's two strides one is 4 (where both axes are longer than one), and so of B's. A stride 0 of a batch axis repeats.
 * scratch: 82176 bytes
 */
export function matmul(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const n = load<i32>(at, 12);
  const k = load<i32>(at, 16);
  const m = load<i32>(at, 20);
  if (n == 0 || m == 0) return;
  if (n == 1 || m == 1) {
    products(at, scratch, worker, workers);
    return;
  }
  const rowA = <usize>load<u32>(at, 24);
  const columnA = <usize>load<u32>(at, 28);
  const rowB = <usize>load<u32>(at, 32);
  const columnB = <usize>load<u32>(at, 36);
  const rowC = <usize>load<u32>(at, 40);
  const b1 = load<i32>(at, 48);
  const b2 = load<i32>(at, 52);
  const batches = load<i32>(at, 44) * b1 * b2;
  const bias = <usize>load<u32>(at, 92);
  const residual = <usize>load<u32>(at, 96);

  const across = columnA != 4;
  const most = across ? CHUNK_ACROSS : CHUNK;
  const chunks = max(1, (k + most - 1) / most);
  const chunk = max(1, (k + chunks - 1) / chunks);
  let rows = ROWS;
  let columns = min(MAX_COLUMNS, (PACKED / chunk) & ~15);
  // Blocks of columns alike, each of whole panels.
  columns = (((m + 15) >> 4) + (m + columns - 1) / columns - 1) / ((m + columns - 1) / columns) << 4;
  let columnBlocks = (m + columns - 1) / columns;
  let rowBlocks = (n + rows - 1) / rows;
  while (batches * rowBlocks * columnBlocks < 8 && rows + columns > 20 && <i64>rows * columns * k > 16384) {
    if (rows > 16 || (rows > 4 && columns <= 32)) rows >>= 1;
    else if (columns > 16) columns = ((columns >> 4) + 1) >> 1 << 4;
    else break;
    columnBlocks = (m + columns - 1) / columns;
    rowBlocks = (n + rows - 1) / rows;
  }

  memory.fill(scratch + ZEROS, 0, 64);
  let packed: usize = 0;
  let packedColumn = -1;
  const last = first(batches * columnBlocks * rowBlocks, worker + 1, workers);
  for (let unit = first(batches * columnBlocks * rowBlocks, worker, workers); unit < last; ) {
    // The units of one strip of columns go through k together.
    const rowBegin = (unit % rowBlocks) * rows;
    const run = min(rowBlocks - (unit % rowBlocks), last - unit);
    const rowEnd = min(n, rowBegin + run * rows);
    const strip = unit / rowBlocks;
    unit += run;
    const batch = strip / columnBlocks;
    const columnBegin = (strip % columnBlocks) * columns;
    const columnEnd = min(m, columnBegin + columns);
    const i0 = batch / (b1 * b2);
    const i1 = (batch / b2) % b1;
    const i2 = batch % b2;
    const a = <usize>load<u32>(at) + offset(at + 56, i0, i1, i2);
    const b = <usize>load<u32>(at, 4) + offset(at + 68, i0, i1, i2) + <usize>columnBegin * columnB;
    const shift = offset(at + 80, i0, i1, i2);
    const c = <usize>load<u32>(at, 8) + shift;
    const panels = (columnEnd - columnBegin + 15) >> 4;
    const rest = (columnEnd - columnBegin) & 15;
    const inPlace = columnB == 4 && rowEnd - rowBegin <= (rowB <= 1024 ? 16 : 8);

    for (let p = 0; p == 0 || p < k; p += chunk) {
      const depth = min(chunk, k - p);
      const lies = b + <usize>p * rowB;
      const panel = <usize>depth << 6;
      if (inPlace) {
        packedColumn = -1;
        if (rest) packPanel(scratch + PACKED_B, lies + (<usize>(panels - 1) << 6), rowB, columnB, depth, rest);
      } else if (chunks > 1 || b != packed || columnBegin != packedColumn) {
        packed = b;
        packedColumn = columnBegin;
        if (across && columnB == 4) touch(scratch, lies, rowB, depth, <usize>(columnEnd - columnBegin) << 2);
        for (let j = 0; j < panels; j++) {
          packPanel(
            scratch + PACKED_B + <usize>j * panel,
            lies + <usize>(j << 4) * columnB,
            rowB,
            columnB,
            depth,
            min(16, columnEnd - columnBegin - (j << 4)),
          );
        }
      }
      for (let blockBegin = rowBegin; blockBegin < rowEnd; blockBegin += ROWS) {
        const blockEnd = min(rowEnd, blockBegin + ROWS);
        const lying = a + <usize>blockBegin * rowA + <usize>p * columnA;
        let left = lying;
        let stepA = columnA;
        if (columnA > 4 * ROWS) {
          left = scratch + BLOCK;
          stepA = 4 * ROWS;
          copyRows(left, stepA, lying, columnA, depth, blockEnd - blockBegin);
        } else if (across) touch(scratch, lying, columnA, depth, <usize>(blockEnd - blockBegin) << 2);
        for (let j = 0; j < panels; j++) {
          const column = columnBegin + (j << 4);
          const width = min(16, columnEnd - column);
          const whole = width == 16;
          const right = !inPlace
            ? scratch + PACKED_B + <usize>j * panel
            : whole
              ? lies + (<usize>j << 6)
              : scratch + PACKED_B;
          const stepB: usize = inPlace && whole ? rowB : width > 8 ? 64 : 32;
          let start = scratch + ZEROS;
          if (p == 0 && bias) {
            start = bias + (<usize>column << 2);
            if (!whole) {
              memory.copy(scratch + START, start, <usize>width << 2);
              start = scratch + START;
            }
          }
          let x = left;
          let to = c + <usize>blockBegin * rowC + (<usize>column << 2);
          const more = p == 0 ? (residual ? residual + shift - c : 0) : 0;
          const adds = p != 0 || residual != 0;
          if (width > 8) {
            const pairs = whole ? (blockEnd - blockBegin) >> 1 : 0;
            if (pairs) wideTiles(x, rowA, stepA, right, stepB, depth, start, adds ? to + more : 0, to, rowC, pairs);
            x += <usize>(2 * pairs) * rowA;
            to += <usize>(2 * pairs) * rowC;
            for (let row = blockBegin + 2 * pairs; row < blockEnd; row += 2) {
              const two = row + 1 < blockEnd;
              wideTiles(x, two ? rowA : 0, stepA, right, stepB, depth, start, 0, scratch, 64, 1);
              scatter(to, scratch, 64, rowC, two ? 2 : 1, width, adds ? to + more : 0);
              x += 2 * rowA;
              to += 2 * rowC;
            }
          } else {
            for (let row = blockBegin; row < blockEnd; row += 4) {
              const height = min(4, blockEnd - row);
              const second: usize = height > 1 ? rowA : 0;
              const third: usize = height > 2 ? 2 * rowA : 0;
              const fourth: usize = height > 3 ? 3 * rowA : 0;
              if (width <= 4) halfTile(x, second, third, fourth, stepA, right, depth, start, scratch);
              else narrowTile(x, second, third, fourth, stepA, right, depth, start, scratch);
              scatter(to, scratch, 32, rowC, height, width, adds ? to + more : 0);
              x += 4 * rowA;
              to += 4 * rowC;
            }
          }
        }
      }
    }
  }
}

// @ts-ignore: decorator
@inline
function offset(strides: usize, i0: i32, i1: i32, i2: i32): usize {
  return (
    <usize>i0 * <usize>load<u32>(strides) +
    <usize>i1 * <usize>load<u32>(strides, 4) +
    <usize>i2 * <usize>load<u32>(strides, 8)
  );
}

/**
 * `depth` rows of up to 16 columns of B, 64 bytes each, or 32 where there are at most 8 columns. What stands in columns
 * that are not there does not matter.
 */
function packPanel(to: usize, from: usize, row: usize, column: usize, depth: i32, width: i32): void {
  const apart: usize = width > 8 ? 64 : 32;
  const end = to + <usize>depth * apart;
  if (column == 4 && width == 16) {
    for (; to < end; to += 64, from += row) {
      v128.store(to, v128.load(from));
      v128.store(to, v128.load(from, 16), 16);
      v128.store(to, v128.load(from, 32), 32);
      v128.store(to, v128.load(from, 48), 48);
    }
    return;
  }
  if (row == 4) {
    const body = end - <usize>(depth & 3) * apart;
    for (let c = 0; c < width; c += 4, from += 4 * column, to += 16) {
      const c1: usize = width > c + 1 ? column : 0;
      const c2: usize = width > c + 2 ? 2 * column : 0;
      const c3: usize = width > c + 3 ? 3 * column : 0;
      let x = from;
      let q = to;
      for (; q < body; q += 4 * apart, x += 16) {
        transpose(q, apart, v128.load(x), v128.load(x + c1), v128.load(x + c2), v128.load(x + c3));
      }
      for (; q < end; q += apart, x += 4) {
        store<f32>(q, load<f32>(x));
        store<f32>(q, load<f32>(x + c1), 4);
        store<f32>(q, load<f32>(x + c2), 8);
        store<f32>(q, load<f32>(x + c3), 12);
      }
    }
    return;
  }
  for (; to < end; to += apart, from += row) {
    let source = from;
    for (let c: usize = 0; c < <usize>width << 2; c += 4, source += column) store<f32>(to + c, load<f32>(source));
  }
}

/** Write a square of four rows as its columns, `apart` bytes apart. */
// @ts-ignore: decorator
@inline
function transpose(to: usize, apart: usize, x0: v128, x1: v128, x2: v128, x3: v128): void {
  const low01 = v128.shuffle<f32>(x0, x1, 0, 4, 1, 5);
  const high01 = v128.shuffle<f32>(x0, x1, 2, 6, 3, 7);
  const low23 = v128.shuffle<f32>(x2, x3, 0, 4, 1, 5);
  const high23 = v128.shuffle<f32>(x2, x3, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<f32>(low01, low23, 0, 1, 4, 5));
  v128.store(to + apart, v128.shuffle<f32>(low01, low23, 2, 3, 6, 7));
  v128.store(to + 2 * apart, v128.shuffle<f32>(high01, high23, 0, 1, 4, 5));
  v128.store(to + 3 * apart, v128.shuffle<f32>(high01, high23, 2, 3, 6, 7));
}

/**
 * Read the cache lines of `depth` stretches of `bytes` in the order in which they lie, before they are read across: the
 * processor foresees this one. What is read goes to `to`, lest it be dropped.
 */
function touch(to: usize, from: usize, apart: usize, depth: i32, bytes: usize): void {
  let bits = 0;
  for (let end = from + <usize>depth * apart; from < end; from += apart) {
    for (let x: usize = 0; x < bytes; x += 64) bits |= load<i32>(from + x);
  }
  store<i32>(to, bits);
}

/**
 * Pairs of rows of A and 16 columns of B: C = start + A B, and what lies at `extra` as C does, or nothing where that is 0.
 * A loop over tiles with one body: a call for each tile costs a tenth of it.
 */
function wideTiles(
  a: usize,
  row: usize,
  stepA: usize,
  b: usize,
  stepB: usize,
  depth: i32,
  start: usize,
  extra: usize,
  c: usize,
  rowC: usize,
  pairs: i32,
): void {
  for (; pairs > 0; pairs--) {
    let c0 = v128.load(start), c1 = v128.load(start, 16), c2 = v128.load(start, 32), c3 = v128.load(start, 48);
    let d0 = c0, d1 = c1, d2 = c2, d3 = c3;
    let right = b;
    for (let end = a + <usize>depth * stepA; a != end; a += stepA, right += stepB) {
      const b0 = v128.load(right);
      const b1 = v128.load(right, 16);
      const b2 = v128.load(right, 32);
      const b3 = v128.load(right, 48);
      const a0 = v128.load32_splat(a);
      c0 = f32x4.add(c0, f32x4.mul(a0, b0));
      c1 = f32x4.add(c1, f32x4.mul(a0, b1));
      c2 = f32x4.add(c2, f32x4.mul(a0, b2));
      c3 = f32x4.add(c3, f32x4.mul(a0, b3));
      const a1 = v128.load32_splat(a + row);
      d0 = f32x4.add(d0, f32x4.mul(a1, b0));
      d1 = f32x4.add(d1, f32x4.mul(a1, b1));
      d2 = f32x4.add(d2, f32x4.mul(a1, b2));
      d3 = f32x4.add(d3, f32x4.mul(a1, b3));
    }
    a += 2 * row - <usize>depth * stepA;
    const second = c + rowC;
    if (extra) {
      c0 = f32x4.add(v128.load(extra), c0);
      c1 = f32x4.add(v128.load(extra, 16), c1);
      c2 = f32x4.add(v128.load(extra, 32), c2);
      c3 = f32x4.add(v128.load(extra, 48), c3);
      extra += rowC;
      d0 = f32x4.add(v128.load(extra), d0);
      d1 = f32x4.add(v128.load(extra, 16), d1);
      d2 = f32x4.add(v128.load(extra, 32), d2);
      d3 = f32x4.add(v128.load(extra, 48), d3);
      extra += rowC;
    }
    v128.store(c, c0);
    v128.store(c, c1, 16);
    v128.store(c, c2, 32);
    v128.store(c, c3, 48);
    v128.store(second, d0);
    v128.store(second, d1, 16);
    v128.store(second, d2, 32);
    v128.store(second, d3, 48);
    c = second + rowC;
  }
}

/** Four rows of A, the others r1, r2, r3 bytes from the first, and 8 packed columns of B, into scratch. */
function narrowTile(
  a: usize,
  r1: usize,
  r2: usize,
  r3: usize,
  stepA: usize,
  b: usize,
  depth: i32,
  start: usize,
  tile: usize,
): void {
  let c00 = v128.load(start), c01 = v128.load(start, 16);
  let c10 = c00, c11 = c01, c20 = c00, c21 = c01, c30 = c00, c31 = c01;
  for (let end = b + (<usize>depth << 5); b != end; b += 32, a += stepA) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const a0 = v128.load32_splat(a);
    c00 = f32x4.add(c00, f32x4.mul(a0, b0));
    c01 = f32x4.add(c01, f32x4.mul(a0, b1));
    const a1 = v128.load32_splat(a + r1);
    c10 = f32x4.add(c10, f32x4.mul(a1, b0));
    c11 = f32x4.add(c11, f32x4.mul(a1, b1));
    const a2 = v128.load32_splat(a + r2);
    c20 = f32x4.add(c20, f32x4.mul(a2, b0));
    c21 = f32x4.add(c21, f32x4.mul(a2, b1));
    const a3 = v128.load32_splat(a + r3);
    c30 = f32x4.add(c30, f32x4.mul(a3, b0));
    c31 = f32x4.add(c31, f32x4.mul(a3, b1));
  }
  v128.store(tile, c00);
  v128.store(tile, c01, 16);
  v128.store(tile, c10, 32);
  v128.store(tile, c11, 48);
  v128.store(tile, c20, 64);
  v128.store(tile, c21, 80);
  v128.store(tile, c30, 96);
  v128.store(tile, c31, 112);
}

/** The same with 4 columns of B. */
function halfTile(
  a: usize,
  r1: usize,
  r2: usize,
  r3: usize,
  stepA: usize,
  b: usize,
  depth: i32,
  start: usize,
  tile: usize,
): void {
  let c0 = v128.load(start);
  let c1 = c0, c2 = c0, c3 = c0;
  for (let end = b + (<usize>depth << 5); b != end; b += 32, a += stepA) {
    const b0 = v128.load(b);
    c0 = f32x4.add(c0, f32x4.mul(v128.load32_splat(a), b0));
    c1 = f32x4.add(c1, f32x4.mul(v128.load32_splat(a + r1), b0));
    c2 = f32x4.add(c2, f32x4.mul(v128.load32_splat(a + r2), b0));
    c3 = f32x4.add(c3, f32x4.mul(v128.load32_splat(a + r3), b0));
  }
  v128.store(tile, c0);
  v128.store(tile, c1, 32);
  v128.store(tile, c2, 64);
  v128.store(tile, c3, 96);
}

/** Copy the part of a tile that there is, its rows `apart` bytes apart. */
function scatter(c: usize, tile: usize, apart: usize, rowC: usize, height: i32, width: i32, extra: usize): void {
  for (let r = 0; r < height; r++, c += rowC, tile += apart) {
    let i: usize = 0;
    for (; i + 16 <= <usize>width << 2; i += 16) {
      const x = v128.load(tile + i);
      v128.store(c + i, extra ? f32x4.add(v128.load(extra + i), x) : x);
    }
    for (; i < <usize>width << 2; i += 4) {
      const x = load<f32>(tile + i);
      store<f32>(c + i, extra ? load<f32>(extra + i) + x : x);
    }
    if (extra) extra += rowC;
  }
}

/** Outputs of a unit where one operand is a vector. */
// @ts-ignore: decorator
@inline
const OUTPUTS: i32 = 256;
/** Where the sums of one chunk of k, those of all and the chunk of the vector lie in scratch. */
// @ts-ignore: decorator
@inline
const TOTALS: usize = 1024;
// @ts-ignore: decorator
@inline
const VECTOR: usize = 2048;

/** One row or column: a matrix times a vector. Its strides are `along` k and `across` from an output to the next. */
function products(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const n = load<i32>(at, 12);
  const k = load<i32>(at, 16);
  const m = load<i32>(at, 20);
  const isRow = n == 1;
  const outputs = isRow ? m : n;
  const across = <usize>load<u32>(at + (isRow ? 36 : 24));
  const along = <usize>load<u32>(at + (isRow ? 32 : 28));
  const step = <usize>load<u32>(at + (isRow ? 28 : 32));
  const stepC: usize = isRow ? 4 : <usize>load<u32>(at, 40);
  const bias = <usize>load<u32>(at, 92);
  const residual = <usize>load<u32>(at, 96);
  const b1 = load<i32>(at, 48);
  const b2 = load<i32>(at, 52);
  const batches = load<i32>(at, 44) * b1 * b2;
  let block = OUTPUTS;
  while (block > 32 && <i64>batches * ((outputs + block - 1) / block) < 8 && <i64>block * k > 16384) block >>= 1;
  const blocks = (outputs + block - 1) / block;

  const last = first(batches * blocks, worker + 1, workers);
  for (let unit = first(batches * blocks, worker, workers); unit < last; unit++) {
    const batch = unit / blocks;
    const i0 = batch / (b1 * b2);
    const i1 = (batch / b2) % b1;
    const i2 = batch % b2;
    const begin = (unit % blocks) * block;
    const count = min(block, outputs - begin);
    const a = <usize>load<u32>(at) + offset(at + 56, i0, i1, i2);
    const b = <usize>load<u32>(at, 4) + offset(at + 68, i0, i1, i2);
    const matrix = (isRow ? b : a) + <usize>begin * across;
    const vector = isRow ? a : b;
    const bytes = <usize>((count + 3) & ~3) << 2;
    memory.fill(scratch + TOTALS, 0, bytes);
    for (let p = 0; p < k; p += CHUNK) {
      const depth = min(CHUNK, k - p);
      let x = vector + <usize>p * step;
      if (step != 4) {
        const to = scratch + VECTOR;
        for (let i: usize = 0; i < <usize>depth << 2; i += 4, x += step) store<f32>(to + i, load<f32>(x));
        x = to;
      }
      if (along == 4) dots(scratch, matrix + (<usize>p << 2), across, x, depth, count);
      else addRows(scratch, matrix + <usize>p * along, along, across, x, depth, count);
      for (let i = scratch; i < scratch + bytes; i += 16) {
        v128.store(i, f32x4.add(v128.load(i, TOTALS), v128.load(i)), TOTALS);
      }
    }
    const shift = offset(at + 80, i0, i1, i2) + <usize>begin * stepC;
    let c = <usize>load<u32>(at, 8) + shift;
    let extra = residual + shift;
    for (let i: usize = 0; i < <usize>count; i++, c += stepC, extra += stepC) {
      let total = load<f32>(scratch + (i << 2), TOTALS);
      if (bias) total += load<f32>(bias + (isRow ? (<usize>begin + i) << 2 : 0));
      if (residual) total += load<f32>(extra);
      store<f32>(c, total);
    }
  }
}

/** Dot products with rows of a matrix, four at a time. */
function dots(to: usize, row: usize, apart: usize, x: usize, depth: i32, count: i32): void {
  const whole = <usize>(depth & ~3) << 2;
  const all = <usize>depth << 2;
  for (let i = 0; i < count; i += 4, to += 16, row += 4 * apart) {
    const row1 = row + (i + 1 < count ? apart : 0);
    const row2 = row + (i + 2 < count ? 2 * apart : 0);
    const row3 = row + (i + 3 < count ? 3 * apart : 0);
    let s0 = f32x4.splat(0), s1 = s0, s2 = s0, s3 = s0;
    let p: usize = 0;
    for (; p < whole; p += 16) {
      const y = v128.load(x + p);
      s0 = f32x4.add(s0, f32x4.mul(y, v128.load(row + p)));
      s1 = f32x4.add(s1, f32x4.mul(y, v128.load(row1 + p)));
      s2 = f32x4.add(s2, f32x4.mul(y, v128.load(row2 + p)));
      s3 = f32x4.add(s3, f32x4.mul(y, v128.load(row3 + p)));
    }
    for (; p < all; p += 4) {
      const y = load<f32>(x + p);
      s0 = f32x4.replace_lane(s0, 0, f32x4.extract_lane(s0, 0) + y * load<f32>(row + p));
      s1 = f32x4.replace_lane(s1, 0, f32x4.extract_lane(s1, 0) + y * load<f32>(row1 + p));
      s2 = f32x4.replace_lane(s2, 0, f32x4.extract_lane(s2, 0) + y * load<f32>(row2 + p));
      s3 = f32x4.replace_lane(s3, 0, f32x4.extract_lane(s3, 0) + y * load<f32>(row3 + p));
    }
    const low01 = v128.shuffle<f32>(s0, s1, 0, 4, 1, 5);
    const high01 = v128.shuffle<f32>(s0, s1, 2, 6, 3, 7);
    const low23 = v128.shuffle<f32>(s2, s3, 0, 4, 1, 5);
    const high23 = v128.shuffle<f32>(s2, s3, 2, 6, 3, 7);
    const lane0 = v128.shuffle<f32>(low01, low23, 0, 1, 4, 5);
    const lane1 = v128.shuffle<f32>(low01, low23, 2, 3, 6, 7);
    const lane2 = v128.shuffle<f32>(high01, high23, 0, 1, 4, 5);
    const lane3 = v128.shuffle<f32>(high01, high23, 2, 3, 6, 7);
    v128.store(to, f32x4.add(f32x4.add(lane0, lane2), f32x4.add(lane1, lane3)));
  }
}

/** The sum of rows of a matrix, each times a number of x, four at a time. */
function addRows(to: usize, row: usize, along: usize, across: usize, x: usize, depth: i32, count: i32): void {
  memory.fill(to, 0, <usize>((count + 3) & ~3) << 2);
  const all = <usize>count << 2;
  const whole = across == 4 ? all & ~15 : 0;
  let p = 0;
  for (; p + 4 <= depth; p += 4, x += 16, row += 4 * along) {
    const x0 = v128.load32_splat(x);
    const x1 = v128.load32_splat(x, 4);
    const x2 = v128.load32_splat(x, 8);
    const x3 = v128.load32_splat(x, 12);
    const row1 = row + along;
    const row2 = row1 + along;
    const row3 = row2 + along;
    for (let i: usize = 0; i < whole; i += 16) {
      const low = f32x4.add(f32x4.mul(x0, v128.load(row + i)), f32x4.mul(x1, v128.load(row1 + i)));
      const high = f32x4.add(f32x4.mul(x2, v128.load(row2 + i)), f32x4.mul(x3, v128.load(row3 + i)));
      v128.store(to + i, f32x4.add(v128.load(to + i), f32x4.add(low, high)));
    }
    let source = (whole >> 2) * across;
    for (let i = whole; i < all; i += 4, source += across) {
      const low = load<f32>(x) * load<f32>(row + source) + load<f32>(x, 4) * load<f32>(row1 + source);
      const high = load<f32>(x, 8) * load<f32>(row2 + source) + load<f32>(x, 12) * load<f32>(row3 + source);
      store<f32>(to + i, load<f32>(to + i) + (low + high));
    }
  }
  for (; p < depth; p++, x += 4, row += along) {
    const y = load<f32>(x);
    let source = row;
    for (let i: usize = 0; i < all; i += 4, source += across) {
      store<f32>(to + i, load<f32>(to + i) + y * load<f32>(source));
    }
  }
}
