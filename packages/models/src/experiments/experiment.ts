import type { Scalar } from "@fmmformer/autodiff";
import type { AttentionOptions } from "../attention/kinds.ts";
import type { FmmformerOptions } from "../fmmformer.ts";
import { adamw } from "../optimizers/adam.ts";
import { clipByGlobalNorm, clipPerTensor } from "../optimizers/clipping.ts";
import { chain, type Optimizer } from "../optimizers/optimizer.ts";
import { radam } from "../optimizers/radam.ts";
import { cosine, oneCycle, type Schedule, stairs, warmUp } from "../optimizers/schedules.ts";
import type { Evaluation } from "../training/run.ts";

/** How a model is trained on a task, as data. */
export interface Scale {
  /** Options of the task */
  readonly task: { readonly [name: string]: number };
  /** The model but for its attention and what the task says: vocabulary, length, classes, kind */
  readonly model: Omit<FmmformerOptions, "vocabulary" | "length" | "classes" | "kind" | "causal" | "attention">;
  readonly steps: number;
  readonly batchSize: number;
  readonly optimizer: OptimizerRule;
  readonly evaluation: Evaluation;
}

/** An optimizer and its schedule, as data. */
export type OptimizerRule =
  | { readonly kind: "one-cycle"; readonly peak: number; readonly warmUp: number; readonly eps: number }
  | {
      readonly kind: "cosine";
      readonly peak: number;
      readonly warmUp: number;
      readonly clip: number;
      readonly beta2: number;
    }
  | {
      readonly kind: "radam-stairs";
      readonly start: number;
      readonly factor: number;
      readonly at: number;
      readonly clip: number;
    };

/** A task, the attentions that are compared on it, and how they are trained. */
export interface Experiment {
  readonly task: string;
  readonly attentions: { readonly [name: string]: AttentionOptions };
  /** The one that is trained unless told */
  readonly attention: string;
  /** As in the paper, where it is one of the paper's */
  readonly full: Scale;
  /** What two cores do in minutes */
  readonly quick: Scale;
  /** What the paper reports, by attention: accuracy in percent */
  readonly reported?: { readonly [attention: string]: number };
  /** How much of a task's own inputs pretraining hides, and how it is scored */
  readonly pretraining?: { readonly share: number; readonly loss: "cross-entropy" | "l1" };
}

/** The optimizer that a rule describes, over so many steps. */
export function optimizerOf(
  rule: OptimizerRule,
  steps: number,
): { readonly optimizer: Optimizer; readonly learningRate: Scalar | Schedule } {
  switch (rule.kind) {
    case "one-cycle": {
      // As PyTorch's OneCycleLR cycles β₁ besides.
      const cycle = oneCycle({ peak: rule.peak, steps, warmUp: Math.max(2, Math.min(rule.warmUp, steps - 1)) });
      return { optimizer: adamw({ ...cycle, eps: rule.eps, weightDecay: 0 }), learningRate: cycle.learningRate };
    }
    case "cosine": {
      const learningRate = warmUp(Math.min(rule.warmUp, steps), cosine({ peak: rule.peak, steps }));
      const adam = adamw({ learningRate, beta2: rule.beta2, weightDecay: 0 });
      return { optimizer: chain(clipByGlobalNorm(rule.clip), adam), learningRate };
    }
    case "radam-stairs": {
      const learningRate = stairs({ start: rule.start, factor: rule.factor, steps: [rule.at] });
      return { optimizer: chain(clipPerTensor(rule.clip), radam({ learningRate, weightDecay: 0.01 })), learningRate };
    }
  }
}
