import { barrier } from "./barrier";

// A plan is a list of steps, each `[kernel, words, …words]` in 32-bit words: the kernel's place in the table, and how many words are its
// own. Every worker walks the whole list and does its share of each step. A loop is a step that holds the steps of its body.

/** Where the number of the round of each enclosing loop stands, in bytes before a worker's scratch. */
export const ROUNDS: usize = 64;

// @ts-ignore: decorator
@inline
const LOOP: u32 = 0xffffffff;

/** Run the steps from `at` to `end`. `depth` loops enclose them. */
export function run(
  at: usize,
  end: usize,
  scratch: usize,
  control: usize,
  worker: i32,
  workers: i32,
  depth: i32,
): void {
  while (at < end) {
    const kernel = load<u32>(at);
    const words = at + 8;
    const next = words + (<usize>load<u32>(at, 4) << 2);
    if (kernel == LOOP) {
      // 0 rounds · 1 whether from the last to the first
      const rounds = load<i32>(words);
      const reverse = load<i32>(words, 4);
      for (let round = 0; round < rounds; round++) {
        store<i32>(scratch - ROUNDS + (<usize>depth << 2), reverse ? rounds - 1 - round : round);
        run(words + 8, next, scratch, control, worker, workers, depth + 1);
      }
    } else {
      call_indirect<void>(kernel, words, scratch, worker, workers);
      barrier(control, workers);
    }
    at = next;
  }
}
