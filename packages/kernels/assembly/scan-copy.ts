import { ROUNDS } from "./run";
import { first } from "./share";

/**
 * Copy bytes between a place that a loop steps through and one that stays: element t of a stack, t the round of the loop at `depth`.
 * words: 0 from · 1 bytes that it moves each round · 2 to · 3 bytes that it moves each round · 4 bytes · 5 depth
 */
export function copyRound(at: usize, scratch: usize, worker: i32, workers: i32): void {
  const round = <usize>load<i32>(scratch - ROUNDS + (<usize>load<u32>(at, 20) << 2));
  const bytes = <usize>load<u32>(at, 16);
  const blocks = <i32>((bytes + 4095) >> 12);
  const begin = <usize>first(blocks, worker, workers) << 12;
  const end = min(bytes, <usize>first(blocks, worker + 1, workers) << 12);
  if (begin >= end) return;
  const from = <usize>load<u32>(at) + round * <usize>load<u32>(at, 4);
  const to = <usize>load<u32>(at, 8) + round * <usize>load<u32>(at, 12);
  memory.copy(to + begin, from + begin, end - begin);
}
