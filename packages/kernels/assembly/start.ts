import { wake } from "./barrier";
import { run } from "./run";

/** Run a plan with all workers, this one being the first: tell the others, then do one's own share. */
export function start(control: usize, at: usize, end: usize, scratch: usize, bytes: usize, workers: i32): void {
  if (ASC_FEATURE_THREADS) {
    if (workers > 1) {
      store<u32>(control, <u32>at, 4);
      store<u32>(control, <u32>end, 8);
      store<u32>(control, <u32>scratch, 12);
      store<u32>(control, <u32>bytes, 16);
      store<i32>(control, workers, 20);
      atomic.add<i32>(control, 1);
      wake(control, control);
    }
  }
  run(at, end, scratch, control, 0, workers, 0);
}
