import { appendFileSync, existsSync, readdirSync } from "node:fs";
import { join } from "node:path";
import { type EventContent, eventRecord } from "./event-record.ts";
import { writeOrTell } from "./run-error.ts";

/** What was measured, for TensorBoard; the last may wait in memory. */
export interface EventFile {
  /** Tell numbers by their tags. */
  add(step: number, values: { readonly [tag: string]: number }): void;
  /**
   * Write what waits.
   *
   * @throws RunError when that fails
   */
  flush(): void;
}

/** The names of a run's event files in a folder, in the order in which they were begun; none where there is no folder. */
export function eventFiles(out: string): string[] {
  if (!existsSync(out)) return [];
  return readdirSync(out)
    .filter((name) => /^events\.out\.tfevents\.\d{13}$/.test(name))
    .sort();
}

/**
 * Begin another event file of a run, behind those that it has: TensorBoard may be reading them, so that nothing in them is changed. It is
 * there once it is flushed.
 *
 * Its name is a time, in milliseconds since 1970, later than theirs, since TensorBoard reads files in the order of their names; and it is
 * none of a run that was removed, since a file of a name that it knows is read on from where it was. With `--load_fast=false` TensorBoard
 * waits for a file that it was reading when that was removed, and shows the old run until it is started again.
 *
 * What those files tell of later steps than `step` counts no more. With `--load_fast=false` TensorBoard drops it at the "start" of the new
 * file; the first "start" of a run drops nothing there, so that the first file has one too. Otherwise it heeds no "start", and drops values
 * of a tag once one of that tag is told of the same step or an earlier one, as it is when the steps are made again.
 */
export function openEventFile(out: string, step: number): EventFile {
  const before = eventFiles(out).at(-1);
  const time = Math.max(Date.now(), before === undefined ? 0 : Number(before.slice(-13)) + 1);
  const path = join(out, `events.out.tfevents.${String(time).padStart(13, "0")}`);
  let waiting: Uint8Array[] = [];
  const record = (content: EventContent, at: number): void => {
    waiting.push(eventRecord(content, { step: at, wallTime: Date.now() / 1000 }));
  };
  const flush = (): void => {
    if (waiting.length > 0) writeOrTell(path, () => appendFileSync(path, Buffer.concat(waiting)));
    waiting = [];
  };
  record("version", 0);
  record("start", step + 1);
  return { add: (at, values) => record(values, at), flush };
}
