import type { AttentionKind, AttentionOptions } from "../attention/kinds.ts";
import type { Experiment, QuickScale, Scale } from "./experiment.ts";
import type { OptimizerPlan } from "./optimizer-plan.ts";

/** What differs between the small tasks. */
export interface SmallTask extends Scale {
  readonly task: string;
  readonly fields: Omit<AttentionOptions, "kind">;
  readonly peak: number;
  readonly quick: QuickScale;
}

const either: readonly AttentionKind[] = ["softmax", "linear", "band", "fmm"];
const causal: readonly AttentionKind[] = [...either, "fast-weight", "fmm-fast-weight"];

/** A small task: every kind of attention with the same fields, AdamW and half a wave. */
export function smallExperiment({ peak, ...task }: SmallTask): Experiment {
  const optimizer: OptimizerPlan = {
    rule: "adamw",
    weightDecay: 0.01,
    beta2: 0.98,
    clip: { each: "together", limit: 1 },
    schedule: { kind: "cosine", peak, warmUp: 50 },
  };
  const attentions = Object.fromEntries(
    (task.model.causal ? causal : either).map((kind) => [kind, { ...task.fields, kind }]),
  );
  return { ...task, attentions, short: {}, optimizer };
}
