import { first } from "./share";

// Products of bands, as packages/kernels/src/band.ts defines them, operands contiguous. A unit is a block of rows.
// words of all: 0 first operand · 1 second operand · 2 out · 3 z · 4 n · 5 width of rows · 6 left · 7 right

// @ts-ignore: decorator
@inline
const BLOCK: i32 = 64;

function bandDotOf<T>(at: usize, worker: i32, workers: i32): void {
  const q = <usize>load<u32>(at);
  const k = <usize>load<u32>(at, 4);
  const out = <usize>load<u32>(at, 8);
  const n = load<i32>(at, 16);
  const d = load<i32>(at, 20);
  const left = load<i32>(at, 24);
  const right = load<i32>(at, 28);
  const slots = left + right + 1;
  const rows = load<i32>(at, 12) * n;
  const blocks = (rows + BLOCK - 1) / BLOCK;
  const bytes = <usize>d * sizeof<T>();
  const end = min(rows, first(blocks, worker + 1, workers) * BLOCK);
  for (let row = first(blocks, worker, workers) * BLOCK; row < end; row++) {
    const i = row % n;
    let to = out + <usize>row * <usize>slots * sizeof<T>();
    const query = q + <usize>row * bytes;
    for (let t = 0; t < slots; t++) {
      const j = i - left + t;
      let total: T = 0;
      if (j >= 0 && j < n) total = dot<T>(query, k + <usize>(row - i + j) * bytes, bytes);
      store<T>(to, total);
      to += sizeof<T>();
    }
  }
}

function dot<T>(x: usize, y: usize, bytes: usize): T {
  let c: usize = 0;
  let total: T = 0;
  if (sizeof<T>() == 4) {
    let sums = f32x4.splat(0);
    for (; c + 16 <= bytes; c += 16) sums = f32x4.add(sums, f32x4.mul(v128.load(x + c), v128.load(y + c)));
    total = <T>(
      (f32x4.extract_lane(sums, 0) +
        f32x4.extract_lane(sums, 1) +
        (f32x4.extract_lane(sums, 2) + f32x4.extract_lane(sums, 3)))
    );
  }
  for (; c < bytes; c += sizeof<T>()) total += load<T>(x + c) * load<T>(y + c);
  return total;
}

export function bandDot_float32(at: usize, scratch: usize, worker: i32, workers: i32): void {
  bandDotOf<f32>(at, worker, workers);
}

export function bandDot_float64(at: usize, scratch: usize, worker: i32, workers: i32): void {
  bandDotOf<f64>(at, worker, workers);
}

function bandMatmulOf<T>(at: usize, worker: i32, workers: i32): void {
  const band = <usize>load<u32>(at);
  const v = <usize>load<u32>(at, 4);
  const out = <usize>load<u32>(at, 8);
  const n = load<i32>(at, 16);
  const m = load<i32>(at, 20);
  const left = load<i32>(at, 24);
  const right = load<i32>(at, 28);
  const slots = left + right + 1;
  const rows = load<i32>(at, 12) * n;
  const blocks = (rows + BLOCK - 1) / BLOCK;
  const bytes = <usize>m * sizeof<T>();
  const end = min(rows, first(blocks, worker + 1, workers) * BLOCK);
  for (let row = first(blocks, worker, workers) * BLOCK; row < end; row++) {
    const i = row % n;
    const from = max(i - left, 0);
    const to = min(i + right, n - 1);
    const weights = band + (<usize>row * <usize>slots + <usize>(from - i + left)) * sizeof<T>();
    const values = v + <usize>(row - i + from) * bytes;
    const sums = out + <usize>row * bytes;
    const keys = to - from + 1;
    let c: usize = 0;
    if (sizeof<T>() == 4) {
      for (; c + 16 <= bytes; c += 16) {
        let total = f32x4.splat(0);
        let at = values + c;
        for (let j: usize = 0; j < <usize>keys; j++, at += bytes) {
          total = f32x4.add(total, f32x4.mul(v128.load32_splat(weights + (j << 2)), v128.load(at)));
        }
        v128.store(sums + c, total);
      }
    }
    for (; c < bytes; c += sizeof<T>()) {
      let total: T = 0;
      let at = values + c;
      for (let j: usize = 0; j < <usize>keys; j++, at += bytes) total += load<T>(weights + j * sizeof<T>()) * load<T>(at);
      store<T>(sums + c, total);
    }
  }
}

export function bandMatmul_float32(at: usize, scratch: usize, worker: i32, workers: i32): void {
  bandMatmulOf<f32>(at, worker, workers);
}

export function bandMatmul_float64(at: usize, scratch: usize, worker: i32, workers: i32): void {
  bandMatmulOf<f64>(at, worker, workers);
}

/** Here the second operand is absent, and `left` and `right` are those of the operand. */
function bandTransposeOf<T>(at: usize, worker: i32, workers: i32): void {
  const band = <usize>load<u32>(at);
  const out = <usize>load<u32>(at, 8);
  const n = load<i32>(at, 16);
  const left = load<i32>(at, 24);
  const right = load<i32>(at, 28);
  const slots = left + right + 1;
  const rows = load<i32>(at, 12) * n;
  const blocks = (rows + BLOCK - 1) / BLOCK;
  const end = min(rows, first(blocks, worker + 1, workers) * BLOCK);
  for (let row = first(blocks, worker, workers) * BLOCK; row < end; row++) {
    const j = row % n;
    for (let t = 0; t < slots; t++) {
      const i = j - right + t;
      let value: T = 0;
      if (i >= 0 && i < n) {
        value = load<T>(band + (<usize>(row - j + i) * <usize>slots + <usize>(slots - 1 - t)) * sizeof<T>());
      }
      store<T>(out + (<usize>row * <usize>slots + <usize>t) * sizeof<T>(), value);
    }
  }
}

export function bandTranspose_float32(at: usize, scratch: usize, worker: i32, workers: i32): void {
  bandTransposeOf<f32>(at, worker, workers);
}

export function bandTranspose_float64(at: usize, scratch: usize, worker: i32, workers: i32): void {
  bandTransposeOf<f64>(at, worker, workers);
}
