import { existsSync, statSync } from "node:fs";
import type { TaskOptions } from "../experiments/experiment.ts";
import { openTask, taskOptions } from "../tasks/open-task.ts";
import type { Task } from "../tasks/task.ts";
import { sayTenths } from "./tenths.ts";

/** Where a task's files are, and its options, as flags give them. */
export interface Named {
  /** A folder, or, of running text, one file */
  readonly data?: string | undefined;
  readonly options?: TaskOptions | undefined;
}

/** Open a task as commands do, saying how much is read. Ctrl-C in between leaves nothing in the cache. */
export async function openNamed(task: string, { data, options }: Named): Promise<Task> {
  const isFile = data !== undefined && existsSync(data) && statSync(data).isFile();
  const place = isFile && taskOptions(task, true).includes("file") ? { file: data } : { dir: data };
  const stop = (): never => process.exit(130);
  // Files that are read for the first time take a while.
  const onProgress = sayTenths((percent, size) => `${task}: ${percent} % of ${Math.ceil(size / 1e6)} MB read`);
  process.on("SIGINT", stop);
  process.on("SIGTERM", stop);
  try {
    return await openTask(task, { ...options, ...place, onProgress });
  } finally {
    process.off("SIGINT", stop);
    process.off("SIGTERM", stop);
  }
}
