// Reading and writing a run of elements of a space whose operand has a stride of its own on each axis.
// `operand`: 0 address · 1 bytes of an element · 2 kind · 3 a stride for each axis; `space`: 0 rank · 1 axes.
// A tile of bools holds int32: they are widened when read and narrowed when written.

/** Copy `count` elements from place `start` of the space on into a tile. */
export function readTile(tile: usize, operand: usize, space: usize, start: i64, count: i32): void {
  move(tile, operand, space, start, count, false);
}

/** Copy a tile to `count` elements from place `start` of the space on. */
export function writeTile(tile: usize, operand: usize, space: usize, start: i64, count: i32): void {
  move(tile, operand, space, start, count, true);
}

// Runs along the innermost axis, one after the other along the axis before it; further out an address is worked out anew.
function move(tile: usize, operand: usize, space: usize, start: i64, count: i32, write: bool): void {
  const size = load<i32>(operand, 4);
  const rank = load<i32>(space);
  const axes = space + 4;
  const strides = operand + 12;
  const length = axisSize(axes, rank - 1);
  const stride = <isize>axisStride(strides, rank - 1);
  const lines = rank > 1 ? axisSize(axes, rank - 2) : 1;
  const lineStride = rank > 1 ? <isize>axisStride(strides, rank - 2) : 0;
  let within = <i32>(start % length);
  const line64 = start / length;
  let line = <i32>(line64 % lines);
  let block = line64 / lines;
  let from = address(operand, axes, strides, rank - 2, block) + <isize>line * lineStride + <isize>within * stride;
  let done = 0;
  for (;;) {
    const run = min(length - within, count - done);
    const to = tile + (<usize>done << (size == 8 ? 3 : 2));
    if (write) {
      if (size == 4) writeRun4(to, from, stride, run);
      else if (size == 8) writeRun8(to, from, stride, run);
      else writeRun1(to, from, stride, run);
    } else if (size == 4) readRun4(to, from, stride, run);
    else if (size == 8) readRun8(to, from, stride, run);
    else readRun1(to, from, stride, run);
    done += run;
    if (done >= count) return;
    from += lineStride - <isize>within * stride;
    within = 0;
    if (++line == lines) {
      line = 0;
      from = address(operand, axes, strides, rank - 2, ++block);
    }
  }
}

// @ts-ignore: decorator
@inline
function axisSize(axes: usize, axis: i32): i32 {
  return load<i32>(axes + (<usize>axis << 2));
}

// @ts-ignore: decorator
@inline
function axisStride(strides: usize, axis: i32): i32 {
  return load<i32>(strides + (<usize>axis << 2));
}

function address(operand: usize, axes: usize, strides: usize, rank: i32, place: i64): usize {
  let at = <usize>load<u32>(operand);
  let rest = place;
  for (let axis = rank - 1; axis >= 0; axis--) {
    const size = <i64>axisSize(axes, axis);
    const index = rest % size;
    rest /= size;
    at += <isize>index * <isize>axisStride(strides, axis);
  }
  return at;
}

function readRun4(to: usize, from: usize, stride: isize, run: i32): void {
  const end = to + (<usize>run << 2);
  if (stride == 4) {
    for (; to < end; to += 16, from += 16) v128.store(to, v128.load(from));
  } else if (stride == 0) {
    const x = v128.load32_splat(from);
    for (; to < end; to += 16) v128.store(to, x);
  } else {
    for (; to < end; to += 4, from += stride) store<i32>(to, load<i32>(from));
  }
}

function readRun8(to: usize, from: usize, stride: isize, run: i32): void {
  const end = to + (<usize>run << 3);
  for (; to < end; to += 8, from += stride) store<i64>(to, load<i64>(from));
}

function readRun1(to: usize, from: usize, stride: isize, run: i32): void {
  const end = to + (<usize>run << 2);
  if (stride == 1) {
    for (; to < end; to += 16, from += 4) v128.store(to, widened(from));
  } else if (stride == 0) {
    const x = i32x4.splat(<i32>load<u8>(from));
    for (; to < end; to += 16) v128.store(to, x);
  } else {
    for (; to < end; to += 4, from += stride) store<i32>(to, <i32>load<u8>(from));
  }
}

/** Four bytes as int32. */
// @ts-ignore: decorator
@inline
export function widened(from: usize): v128 {
  return i32x4.extend_low_i16x8_u(i16x8.extend_low_i8x16_u(v128.load32_zero(from)));
}

function writeRun4(from: usize, to: usize, stride: isize, run: i32): void {
  const end = from + (<usize>run << 2);
  if (stride == 4) {
    for (; from + 16 <= end; from += 16, to += 16) v128.store(to, v128.load(from));
  }
  for (; from < end; from += 4, to += stride) store<i32>(to, load<i32>(from));
}

function writeRun8(from: usize, to: usize, stride: isize, run: i32): void {
  const end = from + (<usize>run << 3);
  for (; from < end; from += 8, to += stride) store<i64>(to, load<i64>(from));
}

function writeRun1(from: usize, to: usize, stride: isize, run: i32): void {
  const end = from + (<usize>run << 2);
  if (stride == 1) {
    for (; from + 16 <= end; from += 16, to += 4) {
      const x = v128.load(from);
      v128.store32_lane(to, i8x16.shuffle(x, x, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12, 0, 4, 8, 12), 0);
    }
  }
  for (; from < end; from += 4, to += stride) store<u8>(to, <u8>load<i32>(from));
}
