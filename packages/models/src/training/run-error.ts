import { FmmformerError } from "@fmmformer/autodiff";

/** A run that cannot start, go on, or be read. */
export class RunError extends FmmformerError {}

/** What an error says, whatever was thrown. */
export function reasonOf(cause: unknown): string {
  return cause instanceof Error ? cause.message : String(cause);
}

/**
 * Write a file of a run.
 *
 * @throws RunError when that fails, as on a full disk
 */
export function writeOrTell(path: string, write: () => void): void {
  try {
    write();
  } catch (cause) {
    const remedy = "see to that and resume the run, which goes on from its last checkpoint";
    throw new RunError(`run: expected to write ${path}, got ${reasonOf(cause)}; ${remedy}`, { cause });
  }
}
