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

// A round waits for the one before: four vectors of counters side by side fill the time.
// @ts-ignore: decorator
@inline
const SIDE_BY_SIDE: i32 = 16;

/**
 * Store the first words of Threefry-2x32-20 of sixteen counters from `counter` on, less their last `shift` bits; or, where that is 16 and
 * more, the halves of both words, less the rest of it.
 */
function threefry(k0: i32, k1: i32, counter: i32, stream: i32, shift: i32, to: usize): void {
  const k2 = k0 ^ k1 ^ 0x1bd11bda;
  let x0 = i32x4.add(i32x4.splat(counter + k0), i32x4(0, 1, 2, 3));
  let x1 = i32x4.add(x0, i32x4.splat(4));
  let x2 = i32x4.add(x0, i32x4.splat(8));
  let x3 = i32x4.add(x0, i32x4.splat(12));
  let y0 = i32x4.splat(stream + k1);
  let y1 = y0;
  let y2 = y0;
  let y3 = y0;
  let a = k1;
  let b = k2;
  let c = k0;
  for (let turn = 1; turn <= 5; turn++) {
    if (turn & 1) {
      x0 = i32x4.add(x0, y0);
      x1 = i32x4.add(x1, y1);
      x2 = i32x4.add(x2, y2);
      x3 = i32x4.add(x3, y3);
      y0 = round(x0, y0, 13);
      y1 = round(x1, y1, 13);
      y2 = round(x2, y2, 13);
      y3 = round(x3, y3, 13);
      x0 = i32x4.add(x0, y0);
      x1 = i32x4.add(x1, y1);
      x2 = i32x4.add(x2, y2);
      x3 = i32x4.add(x3, y3);
      y0 = round(x0, y0, 15);
      y1 = round(x1, y1, 15);
      y2 = round(x2, y2, 15);
      y3 = round(x3, y3, 15);
      x0 = i32x4.add(x0, y0);
      x1 = i32x4.add(x1, y1);
      x2 = i32x4.add(x2, y2);
      x3 = i32x4.add(x3, y3);
      y0 = round(x0, y0, 26);
      y1 = round(x1, y1, 26);
      y2 = round(x2, y2, 26);
      y3 = round(x3, y3, 26);
      x0 = i32x4.add(x0, y0);
      x1 = i32x4.add(x1, y1);
      x2 = i32x4.add(x2, y2);
      x3 = i32x4.add(x3, y3);
      y0 = round(x0, y0, 6);
      y1 = round(x1, y1, 6);
      y2 = round(x2, y2, 6);
      y3 = round(x3, y3, 6);
    } else {
      x0 = i32x4.add(x0, y0);
      x1 = i32x4.add(x1, y1);
      x2 = i32x4.add(x2, y2);
      x3 = i32x4.add(x3, y3);
      y0 = round(x0, y0, 17);
      y1 = round(x1, y1, 17);
      y2 = round(x2, y2, 17);
      y3 = round(x3, y3, 17);
      x0 = i32x4.add(x0, y0);
      x1 = i32x4.add(x1, y1);
      x2 = i32x4.add(x2, y2);
      x3 = i32x4.add(x3, y3);
      y0 = round(x0, y0, 29);
      y1 = round(x1, y1, 29);
      y2 = round(x2, y2, 29);
      y3 = round(x3, y3, 29);
      x0 = i32x4.add(x0, y0);
      x1 = i32x4.add(x1, y1);
      x2 = i32x4.add(x2, y2);
      x3 = i32x4.add(x3, y3);
      y0 = round(x0, y0, 16);
      y1 = round(x1, y1, 16);
      y2 = round(x2, y2, 16);
      y3 = round(x3, y3, 16);
      x0 = i32x4.add(x0, y0);
      x1 = i32x4.add(x1, y1);
      x2 = i32x4.add(x2, y2);
      x3 = i32x4.add(x3, y3);
      y0 = round(x0, y0, 24);
      y1 = round(x1, y1, 24);
      y2 = round(x2, y2, 24);
      y3 = round(x3, y3, 24);
    }
    const first = i32x4.splat(a);
    const second = i32x4.splat(b + turn);
    x0 = i32x4.add(x0, first);
    x1 = i32x4.add(x1, first);
    x2 = i32x4.add(x2, first);
    x3 = i32x4.add(x3, first);
    y0 = i32x4.add(y0, second);
    y1 = i32x4.add(y1, second);
    y2 = i32x4.add(y2, second);
    y3 = i32x4.add(y3, second);
    const next = a;
    a = b;
    b = c;
    c = next;
  }
  if (shift >= 16) {
    quarters(x0, y0, shift - 16, to);
    quarters(x1, y1, shift - 16, to + 64);
    quarters(x2, y2, shift - 16, to + 128);
    quarters(x3, y3, shift - 16, to + 192);
    return;
  }
  v128.store(to, i32x4.shr_u(x0, shift), 0);
  v128.store(to, i32x4.shr_u(x1, shift), 16);
  v128.store(to, i32x4.shr_u(x2, shift), 32);
  v128.store(to, i32x4.shr_u(x3, shift), 48);
}

/** Store the high and low halves of x and y, lane by lane, less their last `shift` bits. */
// @ts-ignore: decorator
@inline
function quarters(x: v128, y: v128, shift: i32, to: usize): void {
  const low = i32x4.splat(0xffff);
  const x0 = i32x4.shr_u(x, 16 + shift);
  const x1 = i32x4.shr_u(v128.and(x, low), shift);
  const y0 = i32x4.shr_u(y, 16 + shift);
  const y1 = i32x4.shr_u(v128.and(y, low), shift);
  const lowX = v128.shuffle<i32>(x0, x1, 0, 4, 1, 5);
  const highX = v128.shuffle<i32>(x0, x1, 2, 6, 3, 7);
  const lowY = v128.shuffle<i32>(y0, y1, 0, 4, 1, 5);
  const highY = v128.shuffle<i32>(y0, y1, 2, 6, 3, 7);
  v128.store(to, v128.shuffle<i32>(lowX, lowY, 0, 1, 4, 5), 0);
  v128.store(to, v128.shuffle<i32>(lowX, lowY, 2, 3, 6, 7), 16);
  v128.store(to, v128.shuffle<i32>(highX, highY, 0, 1, 4, 5), 32);
  v128.store(to, v128.shuffle<i32>(highX, highY, 2, 3, 6, 7), 48);
}

/**
 * Random words, as the primitive of autodiff defines them.
 * words: 0 keys (draws, 2) · 1 streams (draws) · 2 out (draws, count) · 3 draws · 4 count · 5 bits to keep
 * scratch: 256 bytes
 */
export function randomBits(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const keys = <usize>load<u32>(at);
  const streams = <usize>load<u32>(at, 4);
  const out = <usize>load<u32>(at, 8);
  const draws = load<i32>(at, 12);
  const count = load<i32>(at, 16);
  const shift = 32 - load<i32>(at, 20);
  const each = shift >= 16 ? 4 : 1;
  const made = SIDE_BY_SIDE * each;
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
    for (; i + made <= end; i += made) threefry(k0, k1, i / each, stream, shift, to + (<usize>i << 2));
    if (i < end) {
      threefry(k0, k1, i / each, stream, shift, scratch);
      memory.copy(to + (<usize>i << 2), scratch, <usize>(end - i) << 2);
    }
  }
}
