// The control block, shared by all workers of an engine, in bytes:
//   0 job number · 4 plan · 8 its end · 12 scratch · 16 scratch bytes of each worker · 20 workers
//   24 arrived at the barrier · 28 barriers passed · 32 asleep · 36 what has failed: 1 a worker died, 2 one does not come

// @ts-ignore: decorator
@inline
const ARRIVED: usize = 24;
// @ts-ignore: decorator
@inline
const PASSED: usize = 28;
// @ts-ignore: decorator
@inline
const ASLEEP: usize = 32;
// @ts-ignore: decorator
@inline
const FAILED: usize = 36;

/** About 50 µs: as long as another worker usually takes, shorter than what waking up costs many times over. */
const SPINS: i32 = 20000;

/**
 * Atomics.wait for at most 100 ms; the sleeper then looks whether another worker has failed. The host's, since memory.atomic.wait32 with a
 * time limit does not return when V8 11 (Node 20) has compiled it with its first compiler.
 */
// @ts-ignore: decorator
@external("env", "sleep")
declare function sleep(address: usize, seen: i32): void;

/** Atomics.notify, for all who sleep there. */
// @ts-ignore: decorator
@external("env", "rouse")
declare function rouse(address: usize): void;

/** How many sleeps a worker waits for another: two minutes. */
const PATIENCE: i32 = 1200;

/** Wait until the number at `address` is no longer `seen`, or a worker has failed, or `sleeps` have passed, which is a failure too. */
export function waitWhile(control: usize, address: usize, seen: i32, sleeps: i32): void {
  for (let spin = 0; spin < SPINS; spin++) {
    if (atomic.load<i32>(address) != seen) return;
  }
  atomic.add<i32>(control + ASLEEP, 1);
  while (atomic.load<i32>(address) == seen && atomic.load<i32>(control, FAILED) == 0) {
    sleep(address, seen);
    if (--sleeps == 0) atomic.store<i32>(control, 2, FAILED);
  }
  atomic.sub<i32>(control + ASLEEP, 1);
  if (atomic.load<i32>(control, FAILED) != 0) unreachable();
}

/** Wake those who sleep until the number at `address` changes, if anyone sleeps at all. */
export function wake(control: usize, address: usize): void {
  if (atomic.load<i32>(control, ASLEEP) != 0) rouse(address);
}

/** Return when all workers have come here. */
export function barrier(control: usize, workers: i32): void {
  if (ASC_FEATURE_THREADS) {
    if (workers == 1) return;
    const passed = atomic.load<i32>(control, PASSED);
    if (atomic.add<i32>(control + ARRIVED, 1) == workers - 1) {
      atomic.store<i32>(control, 0, ARRIVED);
      atomic.store<i32>(control, passed + 1, PASSED);
      wake(control, control + PASSED);
    } else {
      waitWhile(control, control + PASSED, passed, PATIENCE);
    }
  }
}
