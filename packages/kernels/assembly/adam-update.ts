import { first } from "./share";

// Elements of a unit.
// @ts-ignore: decorator
@inline
const BLOCK: i32 = 4096;

/**
 * µ ← β₁ µ + (1 − β₁) g, ν ← β₂ ν + (1 − β₂) g², u = (µ / c₁) / (√(ν / c₂) + ε), each step rounded to float32:
 * words: 0 g · 1 µ · 2 ν · 3 u · 4 new µ · 5 new ν · 6 count · 7 β₁ · 8 β₂ · 9 ε ·
 *   10 address of c₁ = 1 − β₁ᵗ · 11 address of c₂ = 1 − β₂ᵗ; all contiguous, results may lie on operands
 * scratch: none
 */
export function adamUpdate(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const count = load<i32>(at, 24);
  const blocks = <i32>((<i64>count + BLOCK - 1) / BLOCK);
  const begin = <usize>first(blocks, worker, workers) * BLOCK;
  const end = min(<usize>count, <usize>first(blocks, worker + 1, workers) * BLOCK);
  const g = <usize>load<u32>(at);
  const mu = <usize>load<u32>(at, 4);
  const nu = <usize>load<u32>(at, 8);
  const u = <usize>load<u32>(at, 12);
  const newMu = <usize>load<u32>(at, 16);
  const newNu = <usize>load<u32>(at, 20);
  const beta1 = load<f32>(at, 28);
  const beta2 = load<f32>(at, 32);
  const eps = load<f32>(at, 36);
  const rest1: f32 = 1 - beta1;
  const rest2: f32 = 1 - beta2;
  const c1 = load<f32>(<usize>load<u32>(at, 40));
  const c2 = load<f32>(<usize>load<u32>(at, 44));

  let p = begin << 2;
  for (const body = p + (((end - begin) << 2) & ~15); p < body; p += 16) {
    const x = v128.load(g + p);
    const m = f32x4.add(
      f32x4.mul(v128.load(mu + p), f32x4.splat(beta1)),
      f32x4.mul(x, f32x4.splat(rest1)),
    );
    const n = f32x4.add(
      f32x4.mul(v128.load(nu + p), f32x4.splat(beta2)),
      f32x4.mul(f32x4.mul(x, x), f32x4.splat(rest2)),
    );
    const root = f32x4.sqrt(f32x4.div(n, f32x4.splat(c2)));
    v128.store(newMu + p, m);
    v128.store(newNu + p, n);
    v128.store(u + p, f32x4.div(f32x4.div(m, f32x4.splat(c1)), f32x4.add(root, f32x4.splat(eps))));
  }
  for (; p < end << 2; p += 4) {
    const x = load<f32>(g + p);
    const m = load<f32>(mu + p) * beta1 + x * rest1;
    const n = load<f32>(nu + p) * beta2 + x * x * rest2;
    store<f32>(newMu + p, m);
    store<f32>(newNu + p, n);
    store<f32>(u + p, m / c1 / (sqrt<f32>(n / c2) + eps));
  }
}
