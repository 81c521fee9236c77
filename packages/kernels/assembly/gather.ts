import { first } from "./share";

// A row number outside the table is told to the host through the error cell: 1 · the number · how many rows there are.

// @ts-ignore: decorator
@inline
function report(error: usize, row: i32, rows: i32): void {
  store<i32>(error, 1);
  store<i32>(error, row, 4);
  store<i32>(error, rows, 8);
}

/**
 * out[i] = x[indices[i]], rows of `bytes` each.
 * words: 0 x · 1 indices · 2 out · 3 rows · 4 indices · 5 bytes of a row · 6 error cell
 */
export function gather(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const x = <usize>load<u32>(at);
  const indices = <usize>load<u32>(at, 4);
  const out = <usize>load<u32>(at, 8);
  const rows = load<i32>(at, 12);
  const count = load<i32>(at, 16);
  const bytes = <usize>load<u32>(at, 20);
  const last = first(count, worker + 1, workers);
  for (let i = first(count, worker, workers); i < last; i++) {
    const row = load<i32>(indices + (<usize>i << 2));
    const to = out + <usize>i * bytes;
    if (row < 0 || row >= rows) {
      report(<usize>load<u32>(at, 24), row, rows);
      continue;
    }
    const from = x + <usize>row * bytes;
    if (bytes & 15) memory.copy(to, from, bytes);
    else for (let c: usize = 0; c < bytes; c += 16) v128.store(to + c, v128.load(from + c));
  }
}

// out = x, then out[indices[i]] += updates[i]. A unit is a slice of the columns, so that each number has one writer and its terms come in
// the order of the indices; S keeps the sums of floats in float64, in a buffer as long as the table.
// words: 0 x · 1 indices · 2 updates · 3 out · 4 rows · 5 indices · 6 width · 7 sums (rows · width of S) · 8 error cell
function scatterAddOf<T, S>(at: usize, worker: i32, workers: i32): void {
  const x = <usize>load<u32>(at);
  const indices = <usize>load<u32>(at, 4);
  const updates = <usize>load<u32>(at, 8);
  const out = <usize>load<u32>(at, 12);
  const rows = load<i32>(at, 16);
  const count = load<i32>(at, 20);
  const width = load<i32>(at, 24);
  const sums = <usize>load<u32>(at, 28);
  const from = <usize>first(width, worker, workers);
  const to = <usize>first(width, worker + 1, workers);
  if (from == to) return;
  for (let row: usize = 0; row < <usize>rows; row++) {
    const line = row * <usize>width;
    for (let c = from; c < to; c++) store<S>(sums + (line + c) * sizeof<S>(), <S>load<T>(x + (line + c) * sizeof<T>()));
  }
  for (let i: usize = 0; i < <usize>count; i++) {
    const row = load<i32>(indices + (i << 2));
    if (row < 0 || row >= rows) {
      report(<usize>load<u32>(at, 32), row, rows);
      continue;
    }
    let sum = sums + (<usize>row * <usize>width + from) * sizeof<S>();
    let update = updates + (i * <usize>width + from) * sizeof<T>();
    for (let c = from; c < to; c++) {
      store<S>(sum, load<S>(sum) + <S>load<T>(update));
      sum += sizeof<S>();
      update += sizeof<T>();
    }
  }
  for (let row: usize = 0; row < <usize>rows; row++) {
    const line = row * <usize>width;
    for (let c = from; c < to; c++) store<T>(out + (line + c) * sizeof<T>(), <T>load<S>(sums + (line + c) * sizeof<S>()));
  }
}

export function scatterAdd_float32(at: usize, scratch: usize, worker: i32, workers: i32): void {
  scatterAddOf<f32, f64>(at, worker, workers);
}

export function scatterAdd_float64(at: usize, scratch: usize, worker: i32, workers: i32): void {
  scatterAddOf<f64, f64>(at, worker, workers);
}

export function scatterAdd_int32(at: usize, scratch: usize, worker: i32, workers: i32): void {
  scatterAddOf<i32, i32>(at, worker, workers);
}
