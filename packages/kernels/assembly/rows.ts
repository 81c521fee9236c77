import { first } from "./share";

// Ops along one axis of contiguous operands seen as (outer, n, inner): argmax, argsort, cumsum. A unit is one line along the axis.

// words of all: 0 x · 1 out · 2 outer · 3 n · 4 inner

function argmaxOf<T>(at: usize, worker: i32, workers: i32): void {
  const x = <usize>load<u32>(at);
  const out = <usize>load<u32>(at, 4);
  const n = load<i32>(at, 12);
  const inner = load<i32>(at, 16);
  const units = load<i32>(at, 8) * inner;
  const step = <usize>inner * sizeof<T>();
  const last = first(units, worker + 1, workers);
  for (let unit = first(units, worker, workers); unit < last; unit++) {
    let from = x + (<usize>(unit / inner) * <usize>n * <usize>inner + <usize>(unit % inner)) * sizeof<T>();
    let best = 0;
    let top = load<T>(from);
    for (let j = 1; j < n; j++) {
      from += step;
      const v = load<T>(from);
      if (v > top || (v != v && top == top)) {
        best = j;
        top = v;
      }
    }
    store<i32>(out + (<usize>unit << 2), best);
  }
}

export function argmax_float32(at: usize, scratch: usize, worker: i32, workers: i32): void {
  argmaxOf<f32>(at, worker, workers);
}

export function argmax_float64(at: usize, scratch: usize, worker: i32, workers: i32): void {
  argmaxOf<f64>(at, worker, workers);
}

export function argmax_int32(at: usize, scratch: usize, worker: i32, workers: i32): void {
  argmaxOf<i32>(at, worker, workers);
}

// Merge sort of the order, which keeps equals in place; NaN is larger than all. 5 is a buffer as large as out.
function argsortOf<T>(at: usize, worker: i32, workers: i32): void {
  const x = <usize>load<u32>(at);
  const out = <usize>load<u32>(at, 4);
  const n = load<i32>(at, 12);
  const inner = <usize>load<i32>(at, 16);
  const spare = <usize>load<u32>(at, 20);
  const units = load<i32>(at, 8) * <i32>inner;
  const last = first(units, worker + 1, workers);
  for (let unit = first(units, worker, workers); unit < last; unit++) {
    const start = (<usize>unit / inner) * <usize>n * inner + (<usize>unit % inner);
    let a = out + (start << 2);
    let b = spare + (start << 2);
    const keys = x + start * sizeof<T>();
    for (let j: usize = 0; j < <usize>n; j++) store<i32>(a + ((j * inner) << 2), <i32>j);
    for (let width = 1; width < n; width *= 2) {
      for (let low = 0; low < n; low += 2 * width) {
        const middle = min(low + width, n);
        const high = min(low + 2 * width, n);
        let i = low;
        let j = middle;
        for (let to = low; to < high; to++) {
          let takeLeft = j >= high;
          if (!takeLeft && i < middle) {
            const left = load<T>(keys + <usize>load<i32>(a + ((<usize>i * inner) << 2)) * inner * sizeof<T>());
            const right = load<T>(keys + <usize>load<i32>(a + ((<usize>j * inner) << 2)) * inner * sizeof<T>());
            takeLeft = !(right < left || (left != left && right == right));
          }
          const from = takeLeft ? i++ : j++;
          store<i32>(b + ((<usize>to * inner) << 2), load<i32>(a + ((<usize>from * inner) << 2)));
        }
      }
      const swap = a;
      a = b;
      b = swap;
    }
    if (a == out + (start << 2)) continue;
    for (let j: usize = 0; j < <usize>n; j++) {
      store<i32>(b + ((j * inner) << 2), load<i32>(a + ((j * inner) << 2)));
    }
  }
}

export function argsort_float32(at: usize, scratch: usize, worker: i32, workers: i32): void {
  argsortOf<f32>(at, worker, workers);
}

export function argsort_float64(at: usize, scratch: usize, worker: i32, workers: i32): void {
  argsortOf<f64>(at, worker, workers);
}

export function argsort_int32(at: usize, scratch: usize, worker: i32, workers: i32): void {
  argsortOf<i32>(at, worker, workers);
}

// The running sum is kept in S, float64 for floats. 5 whether from the end.
function cumsumOf<T, S>(at: usize, worker: i32, workers: i32): void {
  const x = <usize>load<u32>(at);
  const out = <usize>load<u32>(at, 4);
  const n = load<i32>(at, 12);
  const inner = load<i32>(at, 16);
  const reverse = load<i32>(at, 20);
  const units = load<i32>(at, 8) * inner;
  const step = <isize>inner * sizeof<T>() * (reverse ? -1 : 1);
  const last = first(units, worker + 1, workers);
  for (let unit = first(units, worker, workers); unit < last; unit++) {
    let place = (<usize>(unit / inner) * <usize>n * <usize>inner + <usize>(unit % inner)) * sizeof<T>();
    if (reverse) place += <usize>(n - 1) * <usize>inner * sizeof<T>();
    let total: S = 0;
    for (let j = 0; j < n; j++) {
      total += <S>load<T>(x + place);
      store<T>(out + place, <T>total);
      place += step;
    }
  }
}

export function cumsum_float32(at: usize, scratch: usize, worker: i32, workers: i32): void {
  cumsumOf<f32, f64>(at, worker, workers);
}

export function cumsum_float64(at: usize, scratch: usize, worker: i32, workers: i32): void {
  cumsumOf<f64, f64>(at, worker, workers);
}

export function cumsum_int32(at: usize, scratch: usize, worker: i32, workers: i32): void {
  cumsumOf<i32, i32>(at, worker, workers);
}
