import { waitWhile } from "./barrier";
import { run } from "./run";

/**
 * What a worker does all its life: wait for the next job, do its share of it. Returns when a job has no workers.
 * `control` is the control block, see barrier.ts.
 */
export function serve(control: usize, worker: i32): void {
  if (ASC_FEATURE_THREADS) {
    let job = 0;
    for (;;) {
      waitWhile(control, control, job, i32.MAX_VALUE);
      job = atomic.load<i32>(control);
      const workers = load<i32>(control, 20);
      if (workers == 0) return;
      const scratch = <usize>load<u32>(control, 12) + <usize>load<u32>(control, 16) * <usize>worker;
      run(<usize>load<u32>(control, 4), <usize>load<u32>(control, 8), scratch, control, worker, workers, 0);
    }
  }
}
