import { first } from "./share";

// @ts-ignore: decorator
@inline
const BLOCK: i32 = 4096;

// @ts-ignore: decorator
@inline
function rotated(y: v128, r: i32): v128 {
  return v128.or(i32x4.shl(y, r), i32x4.shr_u(y, 32 - r));
}

// @ts-ignore: decorator
@inline
function round(x: v128, y: v128, r: i32): v128 {
  return v128.xor(rotated(y, r), x);
}

/** The first words of Threefry-2x32-20 of four counters, lane by lane. */
function threefry(k0: i32, k1: i32, counters: v128, stream: i32): v128 {
  const k2 = k0 ^ k1 ^ 0x1bd11bda;
  let x = i32x4.add(counters, i32x4.splat(k0));
  let y = i32x4.splat(stream + k1);
  let a = k1;
  let b = k2;
  let c = k0;
  for (let turn = 1; turn <= 5; turn++) {
    if (turn & 1) {
      x = i32x4.add(x, y);
      y = round(x, y, 13);
      x = i32x4.add(x, y);
      y = round(x, y, 15);
      x = i32x4.add(x, y);
      y = round(x, y, 26);
      x = i32x4.add(x, y);
      y = round(x, y, 6);
    } else {
      x = i32x4.add(x, y);
      y = round(x, y, 17);
      x = i32x4.add(x, y);
      y = round(x, y, 29);
      x = i32x4.add(x, y);
      y = round(x, y, 16);
      x = i32x4.add(x, y);
      y = round(x, y, 24);
    }
    x = i32x4.add(x, i32x4.splat(a));
    y = i32x4.add(y, i32x4.splat(b + turn));
    const next = a;
    a = b;
    b = c;
    c = next;
  }
  return x;
}

/**
 * Random words, as the primitive of autodiff defines them.
 * words: 0 keys (draws, 2) · 1 streams (draws) · 2 out (draws, count) · 3 draws · 4 count · 5 bits to keep
 */
export function randomBits(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const keys = <usize>load<u32>(at);
  const streams = <usize>load<u32>(at, 4);
  const out = <usize>load<u32>(at, 8);
  const draws = load<i32>(at, 12);
  const count = load<i32>(at, 16);
  const shift = 32 - load<i32>(at, 20);
  const blocks = (count + BLOCK - 1) / BLOCK;
  const last = first(draws * blocks, worker + 1, workers);
  for (let unit = first(draws * blocks, worker, workers); unit < last; unit++) {
    const draw = <usize>(unit / blocks);
    const k0 = load<i32>(keys + (draw << 3));
    const k1 = load<i32>(keys + (draw << 3), 4);
    const stream = load<i32>(streams + (draw << 2));
    const from = (unit % blocks) * BLOCK;
    const end = min(count, from + BLOCK);
    const to = out + ((draw * <usize>count) << 2);
    let i = from;
    for (; i + 4 <= end; i += 4) {
      const counters = i32x4.add(i32x4.splat(i), i32x4(0, 1, 2, 3));
      const words = threefry(k0, k1, counters, stream);
      v128.store(to + (<usize>i << 2), shift == 0 ? words : i32x4.shr_u(words, shift));
    }
    for (; i < end; i++) {
      const word = i32x4.extract_lane(threefry(k0, k1, i32x4.splat(i), stream), 0);
      store<i32>(to + (<usize>i << 2), shift == 0 ? word : <i32>(<u32>word >> shift));
    }
  }
}
