import { first } from "./share";

/**
 * Reduce partial results, in order: out[o, i] = Σ_c partial[o, c, i].
 * words: 0 partials · 1 out · 2 outer · 3 parts · 4 inner · 5 what, as in tile-reduce.ts
 */
export function combine(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const partial = <usize>load<u32>(at);
  const out = <usize>load<u32>(at, 4);
  const outer = load<i32>(at, 8);
  const parts = <usize>load<u32>(at, 12);
  const inner = <usize>load<u32>(at, 16);
  const what = load<i32>(at, 20);
  const units = outer * <i32>inner;
  const last = first(units, worker + 1, workers);
  for (let unit = first(units, worker, workers); unit < last; unit++) {
    // Four sums of float32 side by side.
    if (what == 0 && <usize>unit % inner + 4 <= inner && unit + 4 <= last) {
      let from = partial + (((<usize>unit / inner) * parts * inner + (<usize>unit % inner)) << 2);
      let low = f64x2.splat(0);
      let high = low;
      for (let p: usize = 0; p < parts; p++, from += inner << 2) {
        const x = v128.load(from);
        low = f64x2.add(low, f64x2.promote_low_f32x4(x));
        high = f64x2.add(high, f64x2.promote_low_f32x4(v128.shuffle<f32>(x, x, 2, 3, 2, 3)));
      }
      const sums = v128.shuffle<f32>(f32x4.demote_f64x2_zero(low), f32x4.demote_f64x2_zero(high), 0, 1, 4, 5);
      v128.store(out + (<usize>unit << 2), sums);
      unit += 3;
      continue;
    }
    const o = <usize>unit / inner;
    const i = <usize>unit % inner;
    const from = o * parts * inner + i;
    if (what >= 4) {
      let total = load<i32>(partial + (from << 2));
      for (let p: usize = 1; p < parts; p++) {
        const next = load<i32>(partial + ((from + p * inner) << 2));
        total = what == 4 ? total + next : max(total, next);
      }
      store<i32>(out + (<usize>unit << 2), total);
      continue;
    }
    const wide = what >= 2;
    let total: f64 = wide ? load<f64>(partial + (from << 3)) : <f64>load<f32>(partial + (from << 2));
    for (let p: usize = 1; p < parts; p++) {
      const place = from + p * inner;
      const next: f64 = wide ? load<f64>(partial + (place << 3)) : <f64>load<f32>(partial + (place << 2));
      if (what == 0 || what == 2) total += next;
      else total = next > total || next != next ? next : total;
    }
    if (wide) store<f64>(out + (<usize>unit << 3), total);
    else store<f32>(out + (<usize>unit << 2), <f32>total);
  }
}
