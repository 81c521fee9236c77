import { createHash } from "node:crypto";
import { isLanguageTask } from "../tasks/language-task.ts";
import type { Task } from "../tasks/task.ts";
import type { Json } from "./differences.ts";

/** What tells a task from one of other data: its facts, and of running text what its ids stand for, as a digest. */
export function taskFacts(task: Task): Json {
  const { name, kind, causal, vocabulary, length, classes, examples } = task;
  const symbols = isLanguageTask(task)
    ? createHash("sha256").update(JSON.stringify(task.symbols)).digest("hex").slice(0, 16)
    : null;
  return { name, kind, causal, vocabulary, length, classes, examples: numbered(examples), symbols };
}

/** JSON has no Infinity. */
function numbered(counts: Task["examples"]): Json {
  return Object.fromEntries(Object.entries(counts).map(([split, count]) => [split, String(count)]));
}
