import { first } from "./share";

// Substitution, a column of b at a time; sums in float64.
// words: 0 a (z, n, n) · 1 b (z, n, m) · 2 out · 3 z · 4 n · 5 m · 6 lower · 7 transpose · 8 unit diagonal
// scratch: 8 n bytes
function solve<T>(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const a = <usize>load<u32>(at);
  const b = <usize>load<u32>(at, 4);
  const out = <usize>load<u32>(at, 8);
  const n = load<i32>(at, 16);
  const m = load<i32>(at, 20);
  const transpose = load<i32>(at, 28);
  const unitDiagonal = load<i32>(at, 32);
  const forwards = load<i32>(at, 24) != transpose;
  const units = load<i32>(at, 12) * m;
  const last = first(units, worker + 1, workers);
  const along = (transpose ? <usize>n : 1) * sizeof<T>();
  const down = <usize>(transpose ? 1 : n) * sizeof<T>();
  for (let unit = first(units, worker, workers); unit < last; unit++) {
    const z = <usize>(unit / m);
    const matrix = a + z * <usize>n * <usize>n * sizeof<T>();
    const column = (z * <usize>n * <usize>m + <usize>(unit % m)) * sizeof<T>();
    for (let step = 0; step < n; step++) {
      const i = forwards ? step : n - 1 - step;
      const place = column + <usize>i * <usize>m * sizeof<T>();
      let rest = <f64>load<T>(b + place);
      const row = matrix + <usize>i * down;
      const from = forwards ? 0 : i + 1;
      const to = forwards ? i : n;
      for (let j = <usize>from; j < <usize>to; j++) rest -= <f64>load<T>(row + j * along) * load<f64>(scratch + (j << 3));
      if (!unitDiagonal) rest /= <f64>load<T>(row + <usize>i * along);
      store<f64>(scratch + (<usize>i << 3), rest);
      store<T>(out + place, <T>rest);
    }
  }
}

export function triangularSolve_float32(at: usize, scratch: usize, worker: i32, workers: i32): void {
  solve<f32>(at, scratch, worker, workers);
}

export function triangularSolve_float64(at: usize, scratch: usize, worker: i32, workers: i32): void {
  solve<f64>(at, scratch, worker, workers);
}
