import { first } from "./share";
import { readTile, writeTile } from "./strided";
import { flushColumns, flushTotal, addColumns, addTotal, rowResults } from "./tile-reduce";

// A chain of elementwise ops over one space of elements, a tile at a time, so that what lies between two ops stays in the first-level
// cache. The space is (outer, rows, inner). A unit of work is a block of inner columns and a chunk of rows of one outer index;
// a plain map has one row. Values live in registers: pointers to tiles, either in scratch or straight into an operand.
//
// words, sizes in elements, addresses and strides in bytes:
//   0 outer · 1 rows · 2 inner · 3 columns of a block · 4 rows of a chunk · 5 rows of a tile · 6 columns of a tile
//   7 registers · 8 bytes of a scratch tile · 9 rank of the space · 10 axes of the space (rank ≤ 8 words)
//   18 constants · 19 reads · 20 instructions · 21 writes · 22 reductions, then these in order:
//     constant     register, bytes of an element (4 or 8), its two words
//     read         register, address, bytes of an element (1, 4 or 8), kind (0 contiguous, 1 strided), a stride for each axis (8 words)
//     instruction  function, register of the result, registers of three operands
//     write        the same words as read; kind 2 is contiguous and needs no copy
//     reduction    register, kind (0 rows of a tile, 1 columns, 2 all of a unit), address, what (see tile-reduce.ts), length of a row

// @ts-ignore: decorator
@inline
const HEAD: usize = 23 * 4;
// @ts-ignore: decorator
@inline
const CONSTANT: usize = 4 * 4;
// @ts-ignore: decorator
@inline
const OPERAND: usize = 12 * 4;
// @ts-ignore: decorator
@inline
const INSTRUCTION: usize = 5 * 4;
// @ts-ignore: decorator
@inline
const REDUCTION: usize = 5 * 4;

// @ts-ignore: decorator
@inline
function pointer(registers: usize, at: usize): usize {
  return load<usize>(registers + (<usize>load<u32>(at) << 2));
}

function unitsOf(at: usize): i32 {
  const blocks = (load<i32>(at, 8) + load<i32>(at, 12) - 1) / load<i32>(at, 12);
  const chunks = (load<i32>(at, 4) + load<i32>(at, 16) - 1) / load<i32>(at, 16);
  return load<i32>(at) * chunks * blocks;
}

export function chain(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const units = unitsOf(at);
  unitsOfChain(at, scratch, first(units, worker, workers), first(units, worker + 1, workers));
}

/**
 * Chains that do not depend on each other, their units shared out as those of one.
 * words: 0 how many, then of each how many words, and those
 * scratch: as much as the one that needs most
 */
export function chains(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const count = load<i32>(at);
  let units = 0;
  let part = at + 4;
  for (let c = 0; c < count; c++, part += 4 + (<usize>load<u32>(part) << 2)) units += unitsOf(part + 4);
  const begin = first(units, worker, workers);
  const end = first(units, worker + 1, workers);
  let before = 0;
  part = at + 4;
  for (let c = 0; c < count && before < end; c++, part += 4 + (<usize>load<u32>(part) << 2)) {
    const own = unitsOf(part + 4);
    if (before + own > begin) unitsOfChain(part + 4, scratch, max(0, begin - before), min(own, end - before));
    before += own;
  }
}

function unitsOfChain(at: usize, scratch: usize, begin: i32, last: i32): void {
  if (begin >= last) return;
  const rows = load<i32>(at, 4);
  const inner = load<i32>(at, 8);
  const block = load<i32>(at, 12);
  const chunk = load<i32>(at, 16);
  const tileRows = load<i32>(at, 20);
  const tileColumns = load<i32>(at, 24);
  const count = load<i32>(at, 28);
  const tileBytes = <usize>load<u32>(at, 32);
  const blocks = (inner + block - 1) / block;
  const chunks = (rows + chunk - 1) / chunk;

  // The table of registers, each at first a tile of scratch.
  const registers = scratch;
  const tiles = scratch + ((<usize>count * 4 + 63) & ~63);
  for (let r = 0; r < count; r++) store<usize>(registers + (<usize>r << 2), tiles + <usize>r * tileBytes);
  const sums = tiles + <usize>count * tileBytes;

  const constants = at + HEAD;
  const reads = constants + <usize>load<u32>(at, 72) * CONSTANT;
  const code = reads + <usize>load<u32>(at, 76) * OPERAND;
  const writes = code + <usize>load<u32>(at, 80) * INSTRUCTION;
  const reductions = writes + <usize>load<u32>(at, 84) * OPERAND;
  const end = reductions + <usize>load<u32>(at, 88) * REDUCTION;

  // Constants fill a tile as large as there is one here, in whole vectors.
  const largest = <usize>((min(tileRows, rows) * min(min(tileColumns, block), inner) + 3) & ~3);
  for (let c = constants; c < reads; c += CONSTANT) {
    const to = pointer(registers, c);
    if (load<i32>(c, 4) == 4) {
      const value = v128.load32_splat(c, 8);
      for (let at = to, stop = to + (largest << 2); at < stop; at += 16) v128.store(at, value);
    } else {
      const value = v128.load64_splat(c, 8);
      for (let at = to, stop = to + (largest << 3); at < stop; at += 16) v128.store(at, value);
    }
  }

  for (let unit = begin; unit < last; unit++) {
    const b = unit % blocks;
    const c = (unit / blocks) % chunks;
    const o = unit / (blocks * chunks);
    const columns = min(block, inner - b * block);
    const rowEnd = min(rows, (c + 1) * chunk);
    for (let r = reductions, sum = sums; r < end; r += REDUCTION, sum += tileBytes) {
      if (load<i32>(r, 4) != 0) memory.fill(sum, 0, tileBytes);
    }
    let fresh = true;
    for (let row = c * chunk; row < rowEnd; row += tileRows) {
      for (let column = 0; column < columns; column += tileColumns) {
        const width = min(tileColumns, columns - column);
        const height = min(tileRows, rowEnd - row);
        const size = width * height;
        const start = (<i64>o * rows + row) * inner + b * block + column;
        for (let r = reads; r < code; r += OPERAND) {
          const size1 = <usize>load<u32>(r, 8);
          if (load<i32>(r, 12) == 0 && size1 != 1) {
            store<usize>(registers + (<usize>load<u32>(r) << 2), <usize>load<u32>(r, 4) + <usize>start * size1);
          } else readTile(pointer(registers, r), r + 4, at + 36, start, size);
        }
        for (let w = writes; w < reductions; w += OPERAND) {
          if (load<i32>(w, 12) == 2) {
            store<usize>(
              registers + (<usize>load<u32>(w) << 2),
              <usize>load<u32>(w, 4) + <usize>start * <usize>load<u32>(w, 8),
            );
          }
        }
        const padded = (size + 3) & ~3;
        for (let i = code; i < writes; i += INSTRUCTION) {
          call_indirect<void>(
            load<u32>(i),
            pointer(registers, i + 4),
            pointer(registers, i + 8),
            pointer(registers, i + 12),
            pointer(registers, i + 16),
            padded,
          );
        }
        for (let w = writes; w < reductions; w += OPERAND) {
          if (load<i32>(w, 12) != 2) writeTile(pointer(registers, w), w + 4, at + 36, start, size);
        }
        for (let r = reductions, sum = sums; r < end; r += REDUCTION, sum += tileBytes) {
          const kind = load<i32>(r, 4);
          const from = pointer(registers, r);
          if (kind == 0) rowResults(from, <usize>load<u32>(r, 8), load<i32>(r, 12), load<i32>(r, 16), start, size);
          else if (kind == 1) addColumns(sum, from, load<i32>(r, 12), width, height, fresh);
          else addTotal(sum, from, load<i32>(r, 12), size, fresh);
        }
        fresh = false;
      }
    }
    for (let r = reductions, sum = sums; r < end; r += REDUCTION, sum += tileBytes) {
      const kind = load<i32>(r, 4);
      const to = <usize>load<u32>(r, 8);
      if (kind == 1) flushColumns(sum, to, load<i32>(r, 12), (o * chunks + c) * inner + b * block, columns);
      else if (kind == 2) flushTotal(sum, to, load<i32>(r, 12), unit);
    }
  }
}
