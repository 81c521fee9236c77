import { CommanderError } from "commander";
import picocolors from "picocolors";

/** Say in one line what went wrong, with the stack where it was asked for, and leave a code for the shell: 2 for a command that is none. */
export function reportError(error: unknown): void {
  if (error instanceof CommanderError) {
    process.exitCode = error.exitCode === 0 ? 0 : 2;
    if (error.code.startsWith("commander.help")) return;
  } else {
    process.exitCode = 1;
  }
  const { message, stack } = error instanceof Error ? error : { message: String(error), stack: undefined };
  const shown = process.argv.includes("--debug") ? (stack ?? message) : oneLine(message);
  process.stderr.write(`${picocolors.red("error:")} ${shown}\n`);
}

/** What commander says in two lines, its hint in the second, is said as our errors are, with a remedy. */
function oneLine(message: string): string {
  const hinted = message
    .replace(/^error: /, "")
    .replace(/\n?\(Did you mean (?:one of )?(.*)\?\)/, "; did you mean $1")
    .replace(/cannot be used with option '.*'$/, "$&; give one of them");
  return hinted.replace(/\s*\n\s*/g, " ");
}
