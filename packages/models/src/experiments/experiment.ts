import type { AttentionOptions } from "../attention/kinds.ts";
import type { FmmformerOptions } from "../fmmformer.ts";
import type { Evaluation } from "../training/run.ts";
import type { OptimizerPlan } from "./optimizer-plan.ts";

/** A model without its attention. What it takes and gives is as the task has it, unless told. */
export type ModelPlan = Partial<Omit<FmmformerOptions, "attention">>;

/** Options of a task, as data. */
export interface TaskOptions {
  readonly [name: string]: string | number;
}

/** How large an experiment is. */
export interface Scale {
  readonly options: TaskOptions;
  readonly model: ModelPlan;
  readonly steps: number;
  readonly batchSize: number;
  readonly evaluation: Evaluation;
}

/** What is smaller for a first look, which takes minutes on two cores. */
export interface QuickScale extends Partial<Scale> {
  /** The largest learning rate: few steps take larger ones */
  readonly peak?: number;
}

/** How models are trained on a task and compared, as data. */
export interface Experiment extends Scale {
  /** The name of the task, as `openTask` knows it */
  readonly task: string;
  /** By name, those of the paper first */
  readonly attentions: { readonly [name: string]: AttentionOptions };
  /** Short names of some of them */
  readonly short: { readonly [name: string]: string };
  /** What other kinds of attention are given */
  readonly fields: Omit<AttentionOptions, "kind">;
  readonly optimizer: OptimizerPlan;
  readonly quick: QuickScale;
}
