import { random } from "@fmmformer/autodiff";
import { wasm } from "@fmmformer/kernels/wasm";
import { generate } from "../generate.ts";
import { isLanguageTask } from "../tasks/language-task.ts";
import type { Task } from "../tasks/task.ts";
import { openRun } from "./open-run.ts";
import { namesNext } from "./train.ts";

export interface GenerateFlags {
  readonly prompt?: string;
  readonly length: number;
  readonly temperature: number;
  readonly seed: number;
  readonly data?: string;
  readonly threads: number;
}

/** The command `generate`: the prompt, and what the model makes of it. */
export async function generateText(out: string, flags: GenerateFlags): Promise<void> {
  const { length, temperature, seed, threads } = flags;
  const { plan, task, params } = await openRun(out, flags.data);
  if (!namesNext(task)) {
    throw new TypeError(
      `generate: expected a run that names the next token, as of lm or copy, got one of ${task.name}`,
    );
  }
  const prompt = idsOf(task, flags.prompt);
  const key = random.key(seed);
  const engine = wasm({ threads });
  const added = generate(plan.model, params, prompt, { length, temperature, key, window: task.length, engine });
  const ids = [...prompt, ...added];
  console.log(isLanguageTask(task) ? task.decode(ids) : ids.join(" "));
}

function idsOf(task: Task, prompt: string | undefined): number[] {
  if (prompt === undefined) return [task.example("test", 0).tokens[0]];
  if (isLanguageTask(task)) return Array.from(task.encode(prompt));
  const ids = prompt
    .split(/[\s,]+/)
    .filter(Boolean)
    .map(Number);
  const known = (id: number): boolean => Number.isInteger(id) && id >= 0 && id < task.vocabulary;
  if (ids.length > 0 && ids.every(known)) return ids;
  throw new RangeError(`generate: expected token ids in 0 … ${task.vocabulary - 1}, got ${JSON.stringify(prompt)}`);
}
