// What a reduction does with a tile, and with the partial results of units. `what`: 0 sum, 1 max of float32; 2, 3 of float64; 4, 5 of int32.
// Sums of one tile are kept in sixteen lanes, sums of tiles in float64: rounding does not grow with the number of elements.

// @ts-ignore: decorator
@inline
function larger<T>(a: T, b: T): T {
  return a > b || a != a ? a : b;
}

/** The sum of n float32, in sixteen lanes. */
export function sum32(x: usize, n: i32): f64 {
  let a = f32x4.splat(0);
  let b = a;
  let c = a;
  let d = a;
  const end = x + (<usize>n << 2);
  for (; x + 64 <= end; x += 64) {
    a = f32x4.add(a, v128.load(x));
    b = f32x4.add(b, v128.load(x, 16));
    c = f32x4.add(c, v128.load(x, 32));
    d = f32x4.add(d, v128.load(x, 48));
  }
  for (; x + 16 <= end; x += 16) a = f32x4.add(a, v128.load(x));
  a = f32x4.add(f32x4.add(a, b), f32x4.add(c, d));
  let total =
    <f64>f32x4.extract_lane(a, 0) +
    <f64>f32x4.extract_lane(a, 1) +
    (<f64>f32x4.extract_lane(a, 2) + <f64>f32x4.extract_lane(a, 3));
  for (; x < end; x += 4) total += <f64>load<f32>(x);
  return total;
}

function sum64(x: usize, n: i32): f64 {
  let a: f64 = 0;
  let b: f64 = 0;
  const end = x + (<usize>n << 3);
  for (; x + 16 <= end; x += 16) {
    a += load<f64>(x);
    b += load<f64>(x, 8);
  }
  return x < end ? a + b + load<f64>(x) : a + b;
}

function sumInt(x: usize, n: i32): i32 {
  let total = 0;
  for (let end = x + (<usize>n << 2); x < end; x += 4) total += load<i32>(x);
  return total;
}

function max32(x: usize, n: i32): f32 {
  let best = load<f32>(x);
  const end = x + (<usize>n << 2);
  if (n >= 4) {
    let lanes = v128.load(x);
    for (x += 16; x + 16 <= end; x += 16) lanes = f32x4.max(lanes, v128.load(x));
    best = larger(
      larger(f32x4.extract_lane(lanes, 0), f32x4.extract_lane(lanes, 1)),
      larger(f32x4.extract_lane(lanes, 2), f32x4.extract_lane(lanes, 3)),
    );
  }
  for (; x < end; x += 4) best = larger(load<f32>(x), best);
  return best;
}

function max64(x: usize, n: i32): f64 {
  let best = load<f64>(x);
  for (let end = x + (<usize>n << 3); x < end; x += 8) best = larger(load<f64>(x), best);
  return best;
}

function maxInt(x: usize, n: i32): i32 {
  let best = load<i32>(x);
  for (let end = x + (<usize>n << 2); x < end; x += 4) best = max(best, load<i32>(x));
  return best;
}

/** Reduce each row of a tile that holds whole rows of `length`, the first element at `start` of all. */
export function rowResults(tile: usize, to: usize, what: i32, length: i32, start: i64, size: i32): void {
  const rows = size / length;
  const row = <usize>(start / length);
  for (let r: usize = 0; r < <usize>rows; r++) {
    const at = r * <usize>length;
    if (what == 0) store<f32>(to + ((row + r) << 2), <f32>sum32(tile + (at << 2), length));
    else if (what == 1) store<f32>(to + ((row + r) << 2), max32(tile + (at << 2), length));
    else if (what == 2) store<f64>(to + ((row + r) << 3), sum64(tile + (at << 3), length));
    else if (what == 3) store<f64>(to + ((row + r) << 3), max64(tile + (at << 3), length));
    else if (what == 4) store<i32>(to + ((row + r) << 2), sumInt(tile + (at << 2), length));
    else store<i32>(to + ((row + r) << 2), maxInt(tile + (at << 2), length));
  }
}

/** Take a tile of `height` rows of `width` into the running results of its columns. */
export function addColumns(sums: usize, tile: usize, what: i32, width: i32, height: i32, fresh: bool): void {
  if (fresh) memory.copy(sums, tile, <usize>width << (what == 2 || what == 3 ? 3 : 2));
  for (let row: usize = fresh ? 1 : 0; row < <usize>height; row++) {
    const at = row * <usize>width;
    let i: usize = 0;
    if (what == 0) {
      const end = <usize>width << 2;
      const from = tile + (at << 2);
      for (; i + 16 <= end; i += 16) v128.store(sums + i, f32x4.add(v128.load(sums + i), v128.load(from + i)));
      for (; i < end; i += 4) store<f32>(sums + i, load<f32>(sums + i) + load<f32>(from + i));
    } else if (what == 2) {
      const from = tile + (at << 3);
      for (; i < <usize>width << 3; i += 8) store<f64>(sums + i, load<f64>(sums + i) + load<f64>(from + i));
    } else if (what == 4) {
      const from = tile + (at << 2);
      for (; i < <usize>width << 2; i += 4) store<i32>(sums + i, load<i32>(sums + i) + load<i32>(from + i));
    } else if (what == 1) {
      const from = tile + (at << 2);
      for (; i < <usize>width << 2; i += 4) store<f32>(sums + i, larger(load<f32>(from + i), load<f32>(sums + i)));
    } else if (what == 3) {
      const from = tile + (at << 3);
      for (; i < <usize>width << 3; i += 8) store<f64>(sums + i, larger(load<f64>(from + i), load<f64>(sums + i)));
    } else {
      const from = tile + (at << 2);
      for (; i < <usize>width << 2; i += 4) store<i32>(sums + i, max(load<i32>(from + i), load<i32>(sums + i)));
    }
  }
}

/** Write the results of `width` columns to their place. */
export function flushColumns(sums: usize, to: usize, what: i32, place: i32, width: i32): void {
  const shift = what == 2 || what == 3 ? 3 : 2;
  memory.copy(to + (<usize>place << shift), sums, <usize>width << shift);
}

/** Take a whole tile into one running result. */
export function addTotal(sum: usize, tile: usize, what: i32, size: i32, fresh: bool): void {
  if (what == 0) store<f64>(sum, (fresh ? 0 : load<f64>(sum)) + sum32(tile, size));
  else if (what == 2) store<f64>(sum, (fresh ? 0 : load<f64>(sum)) + sum64(tile, size));
  else if (what == 4) store<i32>(sum, (fresh ? 0 : load<i32>(sum)) + sumInt(tile, size));
  else if (what == 5) store<i32>(sum, fresh ? maxInt(tile, size) : max(load<i32>(sum), maxInt(tile, size)));
  else {
    const best = what == 1 ? <f64>max32(tile, size) : max64(tile, size);
    store<f64>(sum, fresh ? best : larger(best, load<f64>(sum)));
  }
}

/** Write one result to its place. */
export function flushTotal(sum: usize, to: usize, what: i32, place: i32): void {
  if (what < 2) store<f32>(to + (<usize>place << 2), <f32>load<f64>(sum));
  else if (what < 4) store<f64>(to + (<usize>place << 3), load<f64>(sum));
  else store<i32>(to + (<usize>place << 2), load<i32>(sum));
}
