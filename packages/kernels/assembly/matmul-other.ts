import { first } from "./share";

// The products of matmul in other dtypes. A unit is a block of at most ROWS rows of one batch; B is packed into panels
// of 32 bytes a row, so that a panel is read one cache line after the other, unless too few rows share it.

// @ts-ignore: decorator
@inline
const ROWS: i32 = 32;
/** Terms of k in one pass: what is summed in registers, before sums are added to C. */
// @ts-ignore: decorator
@inline
const CHUNK: i32 = 256;
/** A tile, up to 4 rows of 32 bytes, comes before the packed panel. */
// @ts-ignore: decorator
@inline
const PANEL: usize = 128;

function matmulOf<T>(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const lanes = <i32>(32 / sizeof<T>());
  const n = load<i32>(at, 12);
  const k = load<i32>(at, 16);
  const m = load<i32>(at, 20);
  if (n == 0 || m == 0) return;
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
  let rows = ROWS;
  while (rows > 4 && <i64>batches * ((n + rows - 1) / rows) < 8) rows >>= 1;
  const rowBlocks = (n + rows - 1) / rows;
  const last = first(batches * rowBlocks, worker + 1, workers);
  for (let unit = first(batches * rowBlocks, worker, workers); unit < last; ) {
    // The units of one batch share packed panels.
    const rowBegin = (unit % rowBlocks) * rows;
    const run = min(rowBlocks - (unit % rowBlocks), last - unit);
    const rowEnd = min(n, rowBegin + run * rows);
    const batch = unit / rowBlocks;
    unit += run;
    const i0 = batch / (b1 * b2);
    const i1 = (batch / b2) % b1;
    const i2 = batch % b2;
    const a = <usize>load<u32>(at) + offset(at + 56, i0, i1, i2) + <usize>rowBegin * rowA;
    const b = <usize>load<u32>(at, 4) + offset(at + 68, i0, i1, i2);
    const shift = offset(at + 80, i0, i1, i2) + <usize>rowBegin * rowC;
    const c = <usize>load<u32>(at, 8) + shift;
    const inPlace = columnB == sizeof<T>() && rowEnd - rowBegin <= 8;
    for (let p = 0; p == 0 || p < k; p += CHUNK) {
      const depth = max(0, min(CHUNK, k - p));
      const adds = p != 0 || residual != 0;
      const more = p == 0 ? residual + shift - c : 0;
      for (let column = 0; column < m; column += lanes) {
        const width = min(lanes, m - column);
        const lies = b + <usize>p * rowB + <usize>column * columnB;
        const reads = inPlace && width == lanes;
        if (!reads) pack<T>(scratch + PANEL, lies, rowB, columnB, depth, width);
        const right = reads ? lies : scratch + PANEL;
        const stepB: usize = reads ? rowB : 32;
        let x = a + <usize>p * columnA;
        let to = c + <usize>column * sizeof<T>();
        for (let row = rowBegin; row < rowEnd; row += 4) {
          const height = min(4, rowEnd - row);
          const r1: usize = height > 1 ? rowA : 0;
          const r2: usize = height > 2 ? 2 * rowA : 0;
          const r3: usize = height > 3 ? 3 * rowA : 0;
          tile<T>(x, r1, r2, r3, columnA, right, stepB, depth, scratch);
          const start = p == 0 && bias != 0 ? bias + <usize>column * sizeof<T>() : 0;
          put<T>(to, scratch, rowC, height, <usize>width * sizeof<T>(), start, adds ? to + more : 0);
          x += 4 * rowA;
          to += 4 * rowC;
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

/** `depth` rows of B, 32 bytes each. What stands in columns that are not there does not matter. */
function pack<T>(to: usize, from: usize, row: usize, column: usize, depth: i32, width: i32): void {
  const bytes = <usize>width * sizeof<T>();
  const whole = column == sizeof<T>() && bytes == 32;
  for (const end = to + (<usize>depth << 5); to < end; to += 32, from += row) {
    if (whole) {
      v128.store(to, v128.load(from));
      v128.store(to, v128.load(from, 16), 16);
      continue;
    }
    let source = from;
    for (let i: usize = 0; i < bytes; i += sizeof<T>(), source += column) store<T>(to + i, load<T>(source));
  }
}

/** Four rows of sums, 32 bytes each. */
function tile<T>(
  a: usize,
  r1: usize,
  r2: usize,
  r3: usize,
  stepA: usize,
  b: usize,
  stepB: usize,
  depth: i32,
  to: usize,
): void {
  let c00 = i32x4.splat(0), c01 = c00, c10 = c00, c11 = c00;
  let c20 = c00, c21 = c00, c30 = c00, c31 = c00;
  for (let end = b + <usize>depth * stepB; b != end; b += stepB, a += stepA) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const a0 = v128.splat<T>(load<T>(a));
    c00 = v128.add<T>(c00, v128.mul<T>(a0, b0));
    c01 = v128.add<T>(c01, v128.mul<T>(a0, b1));
    const a1 = v128.splat<T>(load<T>(a + r1));
    c10 = v128.add<T>(c10, v128.mul<T>(a1, b0));
    c11 = v128.add<T>(c11, v128.mul<T>(a1, b1));
    const a2 = v128.splat<T>(load<T>(a + r2));
    c20 = v128.add<T>(c20, v128.mul<T>(a2, b0));
    c21 = v128.add<T>(c21, v128.mul<T>(a2, b1));
    const a3 = v128.splat<T>(load<T>(a + r3));
    c30 = v128.add<T>(c30, v128.mul<T>(a3, b0));
    c31 = v128.add<T>(c31, v128.mul<T>(a3, b1));
  }
  v128.store(to, c00);
  v128.store(to, c01, 16);
  v128.store(to, c10, 32);
  v128.store(to, c11, 48);
  v128.store(to, c20, 64);
  v128.store(to, c21, 80);
  v128.store(to, c30, 96);
  v128.store(to, c31, 112);
}

/** Write the part of a tile that there is, added to what starts a row and to what stands at `extra`. */
function put<T>(c: usize, from: usize, rowC: usize, height: i32, bytes: usize, start: usize, extra: usize): void {
  for (let r = 0; r < height; r++, c += rowC, from += 32) {
    let i: usize = 0;
    for (; i + 16 <= bytes; i += 16) {
      let x = v128.load(from + i);
      if (start) x = v128.add<T>(x, v128.load(start + i));
      if (extra) x = v128.add<T>(x, v128.load(extra + i));
      v128.store(c + i, x);
    }
    for (; i < bytes; i += sizeof<T>()) {
      let x = load<T>(from + i);
      if (start) x += load<T>(start + i);
      if (extra) x += load<T>(extra + i);
      store<T>(c + i, x);
    }
    if (extra) extra += rowC;
  }
}

/**
 * C = A B + bias + residual in float64.
 * words: those of matmul
 * scratch: 8320 bytes
 */
export function matmul64(at: usize, scratch: usize, worker: i32, workers: i32): void {
  matmulOf<f64>(at, scratch, worker, workers);
}

/**
 * C = A B + bias + residual in int32, modulo 2³².
 * words: those of matmul
 * scratch: 8320 bytes
 */
export function matmulInt(at: usize, scratch: usize, worker: i32, workers: i32): void {
  matmulOf<i32>(at, scratch, worker, workers);
}
