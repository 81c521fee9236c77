import { type ParseArgsConfig, parseArgs } from "node:util";
import { type Engine, plain } from "@fmmformer/autodiff";
import { wasm } from "@fmmformer/kernels/wasm";
import type { Settings } from "./case.ts";

/** Something that whoever started the command can set right: shown as one line, without a stack. */
export class CommandError extends Error {}

/** What was typed behind the name of a command. */
export interface CommandLine extends Settings {
  readonly names: readonly string[];
  readonly json: boolean;
  readonly help: boolean;
}

const options = {
  threads: { type: "string", short: "t" },
  tokens: { type: "string", short: "n" },
  batch: { type: "string", short: "b" },
  engine: { type: "string" },
  json: { type: "boolean", default: false },
  help: { type: "boolean", short: "h", default: false },
} as const satisfies ParseArgsConfig["options"];

/** What options mean, for `--help`. */
export const optionsHelp: string = `  --threads T         how many threads the wasm engine has; 1 unless told
  --engine NAME       wasm or plain; wasm unless told
  --tokens N          n, instead of what a suite has of its own
  --batch B           b, likewise
  --json              one JSON object a line
  --help              this`;

/**
 * Read what was typed behind `npm run bench --` or `npm run profile --`.
 *
 * @param known - names that may stand there; an unknown one is an error
 * @param make - makes the wasm engine
 * @throws CommandError when a name, an option or a value is none that is known
 */
export function commandLine(
  command: string,
  known: readonly string[],
  make: (threads: number) => Engine = (threads) => wasm({ threads }),
): CommandLine {
  const { values, positionals: names } = parsed(command);
  for (const name of names) {
    if (known.includes(name)) continue;
    const expected = known.length > 0 ? `one of ${known.join(", ")}` : "options only";
    throw new CommandError(`${command}: expected ${expected}, got ${name}; try npm run ${command} -- --help`);
  }
  const whole = (option: "threads" | "tokens" | "batch"): number | undefined => {
    const text = values[option];
    if (text === undefined || /^[1-9]\d*$/.test(text)) return text === undefined ? text : Number(text);
    throw new CommandError(`${command}: expected --${option} to be a whole number ≥ 1, got ${text || '""'}`);
  };
  const [threads = 1, tokens, batch] = [whole("threads"), whole("tokens"), whole("batch")];
  const { engine = "wasm", json, help } = values;
  if (engine !== "wasm" && engine !== "plain") {
    throw new CommandError(`${command}: expected --engine wasm or plain, got ${engine}`);
  }
  if (threads > 64) throw new CommandError(`${command}: expected --threads from 1 to 64, got ${threads}`);
  if (engine === "plain" && threads > 1) {
    throw new CommandError(
      `${command}: expected one thread with --engine plain, got --threads ${threads}; leave one out`,
    );
  }
  return {
    names,
    json,
    help,
    engine: engine === "plain" ? plain : make(threads),
    threads,
    ...(tokens !== undefined && { tokens }),
    ...(batch !== undefined && { batch }),
  };
}

function parsed(command: string) {
  try {
    return parseArgs({ options, allowPositionals: true });
  } catch (error) {
    const [what] = (error as Error).message.split(/[.\n]/);
    throw new CommandError(`${command}: ${what[0].toLowerCase()}${what.slice(1)}; try npm run ${command} -- --help`);
  }
}

/** Run a command: one line and status 1 where the command line is at fault. */
export async function runCommand(command: () => void | Promise<void>): Promise<void> {
  // Who pipes into head has seen enough.
  process.stdout.on("error", (error: NodeJS.ErrnoException) => process.exit(error.code === "EPIPE" ? 0 : 1));
  try {
    await command();
  } catch (error) {
    if (!(error instanceof CommandError)) throw error;
    console.error(error.message);
    process.exitCode = 1;
  }
}
