// Products of small row-major matrices, most of them in the first-level cache. Strides of rows in bytes, sizes in
// elements. Columns are written in vectors: `width` is a multiple of 4, and what holds fewer lies padded in scratch.

/** A width rounded up to whole vectors. */
// @ts-ignore: decorator
@inline
export function padded(width: i32): i32 {
  return (width + 3) & ~3;
}

/** Bytes of that many float32 numbers. */
// @ts-ignore: decorator
@inline
export function bytes(count: i32): usize {
  return <usize>count << 2;
}

// @ts-ignore: decorator
@inline
export function mulAdd(sum: v128, x: v128, y: v128): v128 {
  return f32x4.add(sum, f32x4.mul(x, y));
}

// A tile of the result, 2 rows by 16 columns: 8 accumulators, 4 vectors of b and 1 number of a fit the registers; 4 by 8
// take more addresses. a(i, k) lies at a + i·aRow + k·aStep. The sum starts from `from` (START), or from w_i times the row `from` (SCALED),
// with w_i at w + 4 i; or (LAST, where aRow is 4) from 0, and `from` is added last.

// @ts-ignore: decorator
@inline
const START: i32 = 0;
// @ts-ignore: decorator
@inline
const SCALED: i32 = 1;
// @ts-ignore: decorator
@inline
const LAST: i32 = 2;

// Four numbers of `from` for row i of a tile, `offset` bytes into it.
// @ts-ignore: decorator
@inline
function started(how: i32, from: usize, fromRow: usize, w: usize, i: usize, offset: usize): v128 {
  if (how == LAST) return f32x4.splat(0);
  if (how == SCALED) return f32x4.mul(v128.load32_splat(w + 4 * i), v128.load(from + offset));
  return v128.load(from + i * fromRow + offset);
}

// @ts-ignore: decorator
@inline
function finished(how: i32, sum: v128, from: usize): v128 {
  return how == LAST ? f32x4.add(sum, v128.load(from)) : sum;
}

// @ts-ignore: decorator
@inline
function tile2x16(
  to: usize,
  toRow: usize,
  from: usize,
  fromRow: usize,
  w: usize,
  a: usize,
  aRow: usize,
  aStep: usize,
  b: usize,
  bRow: usize,
  inner: i32,
  how: i32,
): void {
  let c0 = started(how, from, fromRow, w, 0, 0);
  let c1 = started(how, from, fromRow, w, 0, 16);
  let c2 = started(how, from, fromRow, w, 0, 32);
  let c3 = started(how, from, fromRow, w, 0, 48);
  let d0 = started(how, from, fromRow, w, 1, 0);
  let d1 = started(how, from, fromRow, w, 1, 16);
  let d2 = started(how, from, fromRow, w, 1, 32);
  let d3 = started(how, from, fromRow, w, 1, 48);
  for (const end = a + <usize>inner * aStep; a != end; a += aStep, b += bRow) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    const b2 = v128.load(b, 32);
    const b3 = v128.load(b, 48);
    let x = v128.load32_splat(a);
    c0 = mulAdd(c0, x, b0);
    c1 = mulAdd(c1, x, b1);
    c2 = mulAdd(c2, x, b2);
    c3 = mulAdd(c3, x, b3);
    x = how == LAST ? v128.load32_splat(a, 4) : v128.load32_splat(a + aRow);
    d0 = mulAdd(d0, x, b0);
    d1 = mulAdd(d1, x, b1);
    d2 = mulAdd(d2, x, b2);
    d3 = mulAdd(d3, x, b3);
  }
  v128.store(to, finished(how, c0, from));
  v128.store(to, finished(how, c1, from + 16), 16);
  v128.store(to, finished(how, c2, from + 32), 32);
  v128.store(to, finished(how, c3, from + 48), 48);
  to += toRow;
  from += fromRow;
  v128.store(to, finished(how, d0, from));
  v128.store(to, finished(how, d1, from + 16), 16);
  v128.store(to, finished(how, d2, from + 32), 32);
  v128.store(to, finished(how, d3, from + 48), 48);
}

// @ts-ignore: decorator
@inline
function tile4x8(
  to: usize,
  toRow: usize,
  from: usize,
  fromRow: usize,
  w: usize,
  a: usize,
  aRow: usize,
  aStep: usize,
  b: usize,
  bRow: usize,
  inner: i32,
  how: i32,
): void {
  let c00 = started(how, from, fromRow, w, 0, 0);
  let c01 = started(how, from, fromRow, w, 0, 16);
  let c10 = started(how, from, fromRow, w, 1, 0);
  let c11 = started(how, from, fromRow, w, 1, 16);
  let c20 = started(how, from, fromRow, w, 2, 0);
  let c21 = started(how, from, fromRow, w, 2, 16);
  let c30 = started(how, from, fromRow, w, 3, 0);
  let c31 = started(how, from, fromRow, w, 3, 16);
  const a2: usize = 2 * aRow;
  const a3: usize = 3 * aRow;
  const end = a + <usize>inner * aStep;
  while (a != end) {
    const b0 = v128.load(b);
    const b1 = v128.load(b, 16);
    let x = v128.load32_splat(a);
    c00 = mulAdd(c00, x, b0);
    c01 = mulAdd(c01, x, b1);
    x = how == LAST ? v128.load32_splat(a, 4) : v128.load32_splat(a + aRow);
    c10 = mulAdd(c10, x, b0);
    c11 = mulAdd(c11, x, b1);
    x = how == LAST ? v128.load32_splat(a, 8) : v128.load32_splat(a + a2);
    c20 = mulAdd(c20, x, b0);
    c21 = mulAdd(c21, x, b1);
    x = how == LAST ? v128.load32_splat(a, 12) : v128.load32_splat(a + a3);
    c30 = mulAdd(c30, x, b0);
    c31 = mulAdd(c31, x, b1);
    a += aStep;
    b += bRow;
  }
  v128.store(to, finished(how, c00, from));
  v128.store(to, finished(how, c01, from + 16), 16);
  v128.store(to + toRow, finished(how, c10, from + fromRow));
  v128.store(to + toRow, finished(how, c11, from + fromRow + 16), 16);
  v128.store(to + 2 * toRow, finished(how, c20, from + 2 * fromRow));
  v128.store(to + 2 * toRow, finished(how, c21, from + 2 * fromRow + 16), 16);
  v128.store(to + 3 * toRow, finished(how, c30, from + 3 * fromRow));
  v128.store(to + 3 * toRow, finished(how, c31, from + 3 * fromRow + 16), 16);
}

// @ts-ignore: decorator
@inline
function tile4x4(
  to: usize,
  toRow: usize,
  from: usize,
  fromRow: usize,
  w: usize,
  a: usize,
  aRow: usize,
  aStep: usize,
  b: usize,
  bRow: usize,
  inner: i32,
  how: i32,
): void {
  let c0 = started(how, from, fromRow, w, 0, 0);
  let c1 = started(how, from, fromRow, w, 1, 0);
  let c2 = started(how, from, fromRow, w, 2, 0);
  let c3 = started(how, from, fromRow, w, 3, 0);
  const a2: usize = 2 * aRow;
  const a3: usize = 3 * aRow;
  const end = a + <usize>inner * aStep;
  while (a != end) {
    const y = v128.load(b);
    c0 = mulAdd(c0, v128.load32_splat(a), y);
    c1 = mulAdd(c1, how == LAST ? v128.load32_splat(a, 4) : v128.load32_splat(a + aRow), y);
    c2 = mulAdd(c2, how == LAST ? v128.load32_splat(a, 8) : v128.load32_splat(a + a2), y);
    c3 = mulAdd(c3, how == LAST ? v128.load32_splat(a, 12) : v128.load32_splat(a + a3), y);
    a += aStep;
    b += bRow;
  }
  v128.store(to, finished(how, c0, from));
  v128.store(to + toRow, finished(how, c1, from + fromRow));
  v128.store(to + 2 * toRow, finished(how, c2, from + 2 * fromRow));
  v128.store(to + 3 * toRow, finished(how, c3, from + 3 * fromRow));
}

// @ts-ignore: decorator
@inline
function tile1x4(
  to: usize,
  from: usize,
  w: usize,
  a: usize,
  aStep: usize,
  b: usize,
  bRow: usize,
  inner: i32,
  how: i32,
): void {
  let c = started(how, from, 0, w, 0, 0);
  const end = a + <usize>inner * aStep;
  while (a != end) {
    c = mulAdd(c, v128.load32_splat(a), v128.load(b));
    a += aStep;
    b += bRow;
  }
  v128.store(to, finished(how, c, from));
}

// @ts-ignore: decorator
@inline
function tiles(
  c: usize,
  cRow: usize,
  d: usize,
  dRow: usize,
  w: usize,
  a: usize,
  aRow: usize,
  aStep: usize,
  b: usize,
  bRow: usize,
  rows: i32,
  inner: i32,
  width: i32,
  how: i32,
): void {
  const sixteens = bytes(width & ~15);
  const eights = bytes(width & ~7);
  const end = bytes(width);
  for (let x: usize = 0; x < sixteens; x += 64) {
    let at = a;
    let to = c + x;
    let from = d + x;
    let weight = w;
    let i = 0;
    for (; i + 2 <= rows; i += 2) {
      tile2x16(to, cRow, from, dRow, weight, at, aRow, aStep, b + x, bRow, inner, how);
      at += 2 * aRow;
      to += 2 * cRow;
      from += 2 * dRow;
      weight += 8;
    }
    if (i == rows) continue;
    for (let y: usize = 0; y < 64; y += 16) tile1x4(to + y, from + y, weight, at, aStep, b + x + y, bRow, inner, how);
  }
  if (sixteens == end) return;
  let i = 0;
  for (; i + 4 <= rows; i += 4) {
    if (sixteens < eights) {
      tile4x8(c + sixteens, cRow, d + sixteens, dRow, w, a, aRow, aStep, b + sixteens, bRow, inner, how);
    }
    if (eights < end) {
      tile4x4(c + eights, cRow, d + eights, dRow, w, a, aRow, aStep, b + eights, bRow, inner, how);
    }
    a += 4 * aRow;
    c += 4 * cRow;
    d += 4 * dRow;
    w += 16;
  }
  for (; i < rows; i++) {
    for (let x = sixteens; x < end; x += 16) tile1x4(c + x, d + x, w, a, aStep, b + x, bRow, inner, how);
    a += aRow;
    c += cRow;
    d += dRow;
    w += 4;
  }
}

/** C = D + A B, with A (rows, inner), B (inner, width). D may be C, or one row for all with a stride of 0. */
export function product(
  c: usize,
  cRow: usize,
  d: usize,
  dRow: usize,
  a: usize,
  aRow: usize,
  b: usize,
  bRow: usize,
  rows: i32,
  inner: i32,
  width: i32,
): void {
  tiles(c, cRow, d, dRow, 0, a, aRow, 4, b, bRow, rows, inner, width, START);
}

/** C = w dᵀ + A B, with w (rows), d (width), A (rows, inner), B (inner, width). */
export function productAndOuter(
  c: usize,
  cRow: usize,
  w: usize,
  d: usize,
  a: usize,
  aRow: usize,
  b: usize,
  bRow: usize,
  rows: i32,
  inner: i32,
  width: i32,
): void {
  tiles(c, cRow, d, 0, w, a, aRow, 4, b, bRow, rows, inner, width, SCALED);
}

/** C += Aᵀ B, with A (tokens, rows), B (tokens, width). The tokens are summed on their own first. */
export function addOuter(
  c: usize,
  cRow: usize,
  a: usize,
  aRow: usize,
  b: usize,
  bRow: usize,
  tokens: i32,
  rows: i32,
  width: i32,
): void {
  tiles(c, cRow, c, cRow, 0, a, 4, aRow, b, bRow, rows, tokens, width, LAST);
}

/** c += Aᵀ w, with A (tokens, width), w (tokens); any width. */
export function addWeighted(c: usize, a: usize, aRow: usize, w: usize, tokens: i32, width: i32): void {
  const end = w + bytes(tokens);
  let i = 0;
  for (; i + 16 <= width; i += 16) {
    let c0 = f32x4.splat(0);
    let c1 = c0;
    let c2 = c0;
    let c3 = c0;
    let row = a;
    for (let at = w; at < end; at += 4) {
      const x = v128.load32_splat(at);
      c0 = mulAdd(c0, x, v128.load(row));
      c1 = mulAdd(c1, x, v128.load(row, 16));
      c2 = mulAdd(c2, x, v128.load(row, 32));
      c3 = mulAdd(c3, x, v128.load(row, 48));
      row += aRow;
    }
    v128.store(c, f32x4.add(v128.load(c), c0));
    v128.store(c, f32x4.add(v128.load(c, 16), c1), 16);
    v128.store(c, f32x4.add(v128.load(c, 32), c2), 32);
    v128.store(c, f32x4.add(v128.load(c, 48), c3), 48);
    a += 64;
    c += 64;
  }
  for (; i + 4 <= width; i += 4) {
    let sum = f32x4.splat(0);
    let row = a;
    for (let at = w; at < end; at += 4) {
      sum = mulAdd(sum, v128.load32_splat(at), v128.load(row));
      row += aRow;
    }
    v128.store(c, f32x4.add(v128.load(c), sum));
    a += 16;
    c += 16;
  }
  for (; i < width; i++) {
    let sum: f32 = 0;
    let row = a;
    for (let at = w; at < end; at += 4) {
      sum += load<f32>(at) * load<f32>(row);
      row += aRow;
    }
    store<f32>(c, load<f32>(c) + sum);
    a += 4;
    c += 4;
  }
}

/** c_i = a_i · b_i for rows of any width. One b for all rows with a stride of 0. */
export function dots(c: usize, a: usize, aRow: usize, b: usize, bRow: usize, rows: i32, width: i32): void {
  const end = bytes(width & ~3);
  const full = bytes(width);
  let i = 0;
  for (; i + 4 <= rows; i += 4) {
    let c0 = f32x4.splat(0);
    let c1 = c0;
    let c2 = c0;
    let c3 = c0;
    for (let x: usize = 0; x < end; x += 16) {
      const at = a + x;
      const bt = b + x;
      c0 = mulAdd(c0, v128.load(at), v128.load(bt));
      c1 = mulAdd(c1, v128.load(at + aRow), v128.load(bt + bRow));
      c2 = mulAdd(c2, v128.load(at + 2 * aRow), v128.load(bt + 2 * bRow));
      c3 = mulAdd(c3, v128.load(at + 3 * aRow), v128.load(bt + 3 * bRow));
    }
    const low = f32x4.add(i8x16.shuffle(c0, c1, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
      i8x16.shuffle(c0, c1, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31));
    const high = f32x4.add(i8x16.shuffle(c2, c3, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23),
      i8x16.shuffle(c2, c3, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31));
    let sum = f32x4.add(i8x16.shuffle(low, high, 0, 1, 2, 3, 8, 9, 10, 11, 16, 17, 18, 19, 24, 25, 26, 27),
      i8x16.shuffle(low, high, 4, 5, 6, 7, 12, 13, 14, 15, 20, 21, 22, 23, 28, 29, 30, 31));
    for (let x = end; x < full; x += 4) {
      sum = f32x4.add(
        sum,
        f32x4(
          load<f32>(a + x) * load<f32>(b + x),
          load<f32>(a + aRow + x) * load<f32>(b + bRow + x),
          load<f32>(a + 2 * aRow + x) * load<f32>(b + 2 * bRow + x),
          load<f32>(a + 3 * aRow + x) * load<f32>(b + 3 * bRow + x),
        ),
      );
    }
    v128.store(c, sum);
    a += 4 * aRow;
    b += 4 * bRow;
    c += 16;
  }
  for (; i < rows; i++) {
    let sum: f64 = 0;
    for (let x: usize = 0; x < full; x += 4) sum += <f64>load<f32>(a + x) * <f64>load<f32>(b + x);
    store<f32>(c, <f32>sum);
    a += aRow;
    b += bRow;
    c += 4;
  }
}

/**
 * Read the cache lines of rows. Where rows lie apart the processor does not foresee them, and misses that come one by
 * one cost more than together. What is read goes to `to`, lest it be dropped.
 */
export function touch(to: usize, from: usize, fromRow: usize, begin: i32, end: i32, width: i32): void {
  let bits = 0;
  for (let i = begin; i < end; i++) {
    const at = from + <usize>i * fromRow;
    for (let x: usize = 0; x < bytes(width); x += 64) bits |= load<i32>(at + x);
  }
  store<i32>(to, bits);
}

/** Copy rows of any width. */
export function copyRows(to: usize, toRow: usize, from: usize, fromRow: usize, rows: i32, width: i32): void {
  const end = bytes(width & ~3);
  const full = bytes(width);
  for (let i = 0; i < rows; i++) {
    let x: usize = 0;
    for (; x < end; x += 16) v128.store(to + x, v128.load(from + x));
    for (; x < full; x += 4) store<f32>(to + x, load<f32>(from + x));
    to += toRow;
    from += fromRow;
  }
}

/** Copy rows of any width to rows padded with zeros. */
export function padRows(to: usize, toRow: usize, from: usize, fromRow: usize, rows: i32, width: i32): void {
  copyRows(to, toRow, from, fromRow, rows, width);
  const full = bytes(width);
  const end = bytes(padded(width));
  for (let i = 0; i < rows; i++) {
    for (let x = full; x < end; x += 4) store<f32>(to + x, 0);
    to += toRow;
  }
}

/** The divisor of a row, max(weight, 0) + ε. */
// @ts-ignore: decorator
@inline
export function divisor(weight: f32, eps: f32): f32 {
  return max<f32>(weight, 0) + eps;
}

/** Divide a row of any width. Division by 0 gives 0. */
// @ts-ignore: decorator
@inline
export function divideRow(to: usize, from: usize, by: f32, width: i32): void {
  const end = bytes(width & ~3);
  const full = bytes(width);
  let x: usize = 0;
  if (by >= SMALLEST) {
    const inverse: f32 = 1 / by;
    const factor = f32x4.splat(inverse);
    for (; x + 64 <= end; x += 64) {
      const at = from + x;
      const out = to + x;
      v128.store(out, f32x4.mul(v128.load(at), factor));
      v128.store(out, f32x4.mul(v128.load(at, 16), factor), 16);
      v128.store(out, f32x4.mul(v128.load(at, 32), factor), 32);
      v128.store(out, f32x4.mul(v128.load(at, 48), factor), 48);
    }
    for (; x < end; x += 16) v128.store(to + x, f32x4.mul(v128.load(from + x), factor));
    for (; x < full; x += 4) store<f32>(to + x, load<f32>(from + x) * inverse);
  } else {
    for (; x < full; x += 4) store<f32>(to + x, by == 0 ? 0 : load<f32>(from + x) / by);
  }
}

// The smallest normal number: the inverse of a smaller one may be infinite.
// @ts-ignore: decorator
@inline
const SMALLEST: f32 = 1.1754943508222875e-38;

/** to[j, i] = from[i, j] for any sizes, rows of `to` padded with zeros. */
export function transpose(to: usize, toRow: usize, from: usize, fromRow: usize, rows: i32, columns: i32): void {
  for (let i = 0; i < rows; i += 4) {
    const height = min(4, rows - i);
    let x = from;
    let y = to;
    let j = 0;
    if (height == 4) {
      for (; j + 4 <= columns; j += 4) {
        const r0 = v128.load(x);
        const r1 = v128.load(x + fromRow);
        const r2 = v128.load(x + 2 * fromRow);
        const r3 = v128.load(x + 3 * fromRow);
        const low01 = i8x16.shuffle(r0, r1, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
        const high01 = i8x16.shuffle(r0, r1, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
        const low23 = i8x16.shuffle(r2, r3, 0, 1, 2, 3, 16, 17, 18, 19, 4, 5, 6, 7, 20, 21, 22, 23);
        const high23 = i8x16.shuffle(r2, r3, 8, 9, 10, 11, 24, 25, 26, 27, 12, 13, 14, 15, 28, 29, 30, 31);
        v128.store(y, i8x16.shuffle(low01, low23, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23));
        y += toRow;
        v128.store(y, i8x16.shuffle(low01, low23, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31));
        y += toRow;
        v128.store(y, i8x16.shuffle(high01, high23, 0, 1, 2, 3, 4, 5, 6, 7, 16, 17, 18, 19, 20, 21, 22, 23));
        y += toRow;
        v128.store(y, i8x16.shuffle(high01, high23, 8, 9, 10, 11, 12, 13, 14, 15, 24, 25, 26, 27, 28, 29, 30, 31));
        y += toRow;
        x += 16;
      }
    }
    for (; j < columns; j++) {
      v128.store(y, f32x4.splat(0));
      for (let p = 0; p < height; p++) store<f32>(y + bytes(p), load<f32>(x + <usize>p * fromRow));
      x += 4;
      y += toRow;
    }
    from += 4 * fromRow;
    to += 16;
  }
}
