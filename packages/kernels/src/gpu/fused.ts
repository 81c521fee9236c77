import type { Equation } from "@fmmformer/autodiff/extend";
import type { Call } from "../composed-call.ts";
import { byName } from "../known-names.ts";
import { fullAttention, nearField } from "./ops/attention.ts";
import { farField, farFieldPullback } from "./ops/far-field.ts";
import type { FusedOp } from "./ops/fused-op.ts";
import { crossEntropy, layerNorm } from "./ops/rows.ts";
import type { Rule } from "./rules.ts";

/**
 * The composed ops with rules of their own, by the names of their calls; others are written out. A rule is here where it takes fewer kernels
 * and no more time than that: it would cost the pullbacks of layerNorm and softmaxCrossEntropy time, and gelu and adamUpdate have no kernel
 * too many.
 */
const fusedOps: Readonly<Record<string, FusedOp>> = {
  nearField: nearField.op,
  "nearField.pullback": nearField.pullback,
  fullAttention: fullAttention.op,
  "fullAttention.pullback": fullAttention.pullback,
  farField,
  "farField.pullback": farFieldPullback,
  layerNorm,
  softmaxCrossEntropy: crossEntropy,
};

/** The rule of a call, where there is one. */
export function fusedOpOf(equation: Equation): Rule | null {
  const op = byName(fusedOps, equation);
  return op?.takes(equation as Call) ? op.rule : null;
}
