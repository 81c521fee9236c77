import type { Scalar } from "@fmmformer/autodiff";
import { checkName } from "../known-name.ts";
import { type AdamwOptions, adamw } from "../optimizers/adam.ts";
import { clipByGlobalNorm, clipPerTensor } from "../optimizers/clipping.ts";
import { chain, type Optimizer } from "../optimizers/optimizer.ts";
import { radam } from "../optimizers/radam.ts";
import { cosine, oneCycle, type Schedule, stairs, warmUp } from "../optimizers/schedules.ts";

/** How the learning rate changes, as data. */
export type SchedulePlan =
  /** Up to the peak in `warmUp` steps and down behind it, while β₁ does the contrary */
  | { readonly kind: "one-cycle"; readonly peak: number; readonly warmUp: number }
  /** Up to the peak in `warmUp` steps, along half a wave that ends at 0 with the last step */
  | { readonly kind: "cosine"; readonly peak: number; readonly warmUp: number }
  /** The peak, multiplied by `factor` from each of some steps on */
  | { readonly kind: "stairs"; readonly peak: number; readonly factor: number; readonly at: readonly number[] };

/** An optimizer, as data. */
export interface OptimizerPlan {
  readonly rule: "adamw" | "radam";
  readonly schedule: SchedulePlan;
  /** 0 unless told */
  readonly weightDecay?: number;
  /** 0.999 unless told */
  readonly beta2?: number;
  /** 1e-8 unless told */
  readonly eps?: number;
  /** Gradients are shrunk to this length, all "together" or each "tensor" by itself; not unless told */
  readonly clip?: { readonly each: "together" | "tensor"; readonly limit: number };
}

/** An optimizer, and its learning rate for those who show it. */
export interface PlannedOptimizer {
  readonly optimizer: Optimizer;
  readonly learningRate: Scalar | Schedule;
}

/**
 * Make an optimizer of its plan.
 *
 * @param steps - of the whole run, which schedules end with
 * @throws TypeError when a name is unknown
 */
export function plannedOptimizer(plan: OptimizerPlan, steps: number): PlannedOptimizer {
  const { beta2 = 0.999, eps = 1e-8, weightDecay = 0, clip } = plan;
  const rates = ratesOf(plan.schedule, steps);
  const rule = { adamw, radam }[checkName("optimizer", "rule", plan.rule, ["adamw", "radam"])];
  const optimizer = rule({ ...rates, beta2, eps, weightDecay });
  const clipping = clip && (clip.each === "tensor" ? clipPerTensor : clipByGlobalNorm)(clip.limit);
  return { optimizer: clipping ? chain(clipping, optimizer) : optimizer, learningRate: rates.learningRate };
}

function ratesOf(plan: SchedulePlan, steps: number): Pick<AdamwOptions, "learningRate" | "beta1"> {
  checkName("optimizer", "schedule", plan.kind, ["one-cycle", "cosine", "stairs"]);
  switch (plan.kind) {
    case "one-cycle":
      return oneCycle({ peak: plan.peak, steps, warmUp: plan.warmUp });
    case "cosine":
      return { learningRate: warmUp(plan.warmUp, cosine({ peak: plan.peak, steps })) };
    case "stairs":
      return { learningRate: stairs({ start: plan.peak, factor: plan.factor, steps: plan.at }) };
  }
}

/** The same plan for a run of another length: what happens at a step happens at the same part of the run. */
export function stretched(plan: OptimizerPlan, factor: number): OptimizerPlan {
  const { schedule } = plan;
  const at = (step: number): number => Math.max(1, Math.round(step * factor));
  const own =
    schedule.kind === "stairs"
      ? { ...schedule, at: schedule.at.map(at) }
      : { ...schedule, warmUp: at(schedule.warmUp) };
  return { ...plan, schedule: own };
}
