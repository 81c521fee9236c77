import type { AttentionOptions } from "../attention/kinds.ts";
import { type Preset, type PresetTask, presets } from "../presets.ts";
import type { ModelPlan } from "./experiment.ts";

/** A preset without its attention. */
export function paperModel({ attention: _, ...model }: Preset["model"]): ModelPlan {
  return model;
}

/** The attentions of a task's presets, by the name of their row. */
export function paperAttentions(task: PresetTask): { readonly [name: string]: AttentionOptions } {
  const own = presets.filter((each) => each.task === task);
  return Object.fromEntries(own.map(({ name, model }) => [name.slice(task.length + 1), model.attention]));
}
