import { CommanderError } from "commander";
import picocolors from "picocolors";

/** Say in one line what went wrong, with the stack where it was asked for, and leave a code for the shell: 2 for a command that is none. */
export function reportError(error: unknown): void {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
    return;
  }
  const { message, stack } = error instanceof Error ? error : { message: String(error), stack: undefined };
  const shown = process.argv.includes("--debug") ? (stack ?? message) : message;
  process.stderr.write(`${picocolors.red("error:")} ${shown}\n`);
  process.exitCode = 1;
}
