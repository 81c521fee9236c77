import { first } from "./share";

/**
 * The causal product of packages/kernels/src/causal-product.ts in float64, token by token: a unit is one (batch, head) pair.
 * words: 0 q (z, n, f) · 1 k · 2 v (z, n, m) · 3 state (z, f, m) · 4 o (z, n, m) · 5 last (z, f, m) · 6 z · 7 n · 8 f · 9 m · 10 reverse
 */
export function causalProduct_float64(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const n = <usize>load<u32>(at, 28);
  const f = <usize>load<u32>(at, 32);
  const m = <usize>load<u32>(at, 36);
  const reverse = load<i32>(at, 40);
  const units = load<i32>(at, 24);
  const end = first(units, worker + 1, workers);
  for (let unit = first(units, worker, workers); unit < end; unit++) {
    const z = <usize>unit;
    const state = <usize>load<u32>(at, 20) + ((z * f * m) << 3);
    memory.copy(state, <usize>load<u32>(at, 12) + ((z * f * m) << 3), (f * m) << 3);
    for (let t: usize = 0; t < n; t++) {
      const i = z * n + (reverse ? n - 1 - t : t);
      const q = <usize>load<u32>(at) + ((i * f) << 3);
      const k = <usize>load<u32>(at, 4) + ((i * f) << 3);
      const v = <usize>load<u32>(at, 8) + ((i * m) << 3);
      const o = <usize>load<u32>(at, 16) + ((i * m) << 3);
      memory.fill(o, 0, m << 3);
      for (let a: usize = 0; a < f; a++) {
        const x = load<f64>(q + (a << 3));
        const y = load<f64>(k + (a << 3));
        const row = state + ((a * m) << 3);
        for (let c: usize = 0; c < m << 3; c += 8) {
          const s = load<f64>(row + c) + y * load<f64>(v + c);
          store<f64>(row + c, s);
          store<f64>(o + c, load<f64>(o + c) + x * s);
        }
      }
    }
  }
}
