import type { Task } from "../tasks/task.ts";
import { sayTenths } from "./tenths.ts";

/** What is measured: all of a split unless told. */
export interface Measuring {
  readonly split: "validation" | "test";
  readonly batchSize: number;
  /** At most so many */
  readonly batches?: number | undefined;
}

/**
 * Say how far measuring is, given how many batches are done.
 *
 * @param after - seconds in which nothing is said; 0 unless told
 */
export function sayMeasuring(
  task: Task,
  { split, batchSize, batches = Infinity }: Measuring,
  after = 0,
): (done: number) => void {
  const all = Math.min(batches, Math.ceil(task.examples[split] / batchSize));
  const say = sayTenths((percent, size) => `${split} split: ${percent} % of ${size} batches measured`, after);
  return (done) => say(done, all);
}
