import { appendFileSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type EventContent, eventRecord } from "./event-record.ts";
import { writeOrTell } from "./run-error.ts";

/** What was measured, for TensorBoard; the last may wait in memory. */
export interface EventFile {
  /** Tell numbers by their tags. */
  add(step: number, values: { readonly [tag: string]: number }): void;
  /** Write what waits. */
  flush(): void;
}

/** The names of a run's event files in a folder, in the order in which they were begun: TensorBoard reads them by their names. */
export function eventFiles(out: string): string[] {
  return readdirSync(out)
    .filter((name) => /^events\.out\.tfevents\.\d{6}$/.test(name))
    .sort();
}

/**
 * Begin another event file of a run, behind those that it has: TensorBoard may be reading them, so that nothing in them is changed. What
 * they tell of later steps than `step` is dropped by TensorBoard itself, since the new file says that the run goes on from there.
 *
 * @throws RunError when it cannot be written
 */
export function openEventFile(out: string, step: number): EventFile {
  const before = eventFiles(out).at(-1);
  const number = before === undefined ? 0 : Number(before.slice(-6)) + 1;
  const path = join(out, `events.out.tfevents.${String(number).padStart(6, "0")}`);
  let waiting: Uint8Array[] = [];
  const record = (content: EventContent, at: number): void => {
    waiting.push(eventRecord(content, { step: at, wallTime: Date.now() / 1000 }));
  };
  const flush = (): void => {
    if (waiting.length > 0) writeOrTell(path, () => appendFileSync(path, Buffer.concat(waiting)));
    waiting = [];
  };
  record("version", 0);
  if (before !== undefined) record("start", step + 1);
  flush();
  return { add: (at, values) => record(values, at), flush };
}
