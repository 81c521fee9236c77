import { type PresetTask, preset } from "../presets.ts";
import type { Experiment, QuickScale, Scale } from "./experiment.ts";
import { paperAttentions, paperModel } from "./paper-model.ts";

/** What differs between the five tasks. */
export interface ArenaTask extends Pick<Scale, "steps" | "batchSize"> {
  readonly task: Exclude<PresetTask, "lm" | "copy">;
  readonly warmUp: number;
  /** After so many steps each, so many batches of the validation split */
  readonly every: number;
  readonly batches: number;
  readonly quick: QuickScale;
}

/** A task of Long Range Arena as the authors of the paper train on it: AdamW, one cycle, the most accurate parameters tested. */
export function longRangeArena({ task, steps, batchSize, warmUp, every, batches, quick }: ArenaTask): Experiment {
  return {
    task,
    options: {},
    model: paperModel(preset(`${task}/softmax`)),
    attentions: paperAttentions(task),
    short: { band: "band5", fmm: "fmm-2-kernel-band5" },
    fields: { bandwidth: 5, dropout: 0.1 },
    optimizer: { rule: "adamw", eps: 1e-6, schedule: { kind: "one-cycle", peak: 1e-4, warmUp } },
    steps,
    batchSize,
    evaluation: { every, batches, batchSize, by: "accuracy" },
    quick: { peak: 1e-3, ...quick },
  };
}
