import { fullAttention, fullAttentionPullback, nearField, nearFieldPullback } from "./ops/attention.ts";
import { farField, farFieldPullback } from "./ops/far-field.ts";
import type { FusedOp } from "./ops/operands.ts";
import {
  adamUpdate,
  crossEntropy,
  crossEntropyPullback,
  eluPlusOne,
  gelu,
  geluPullback,
  layerNorm,
  layerNormPullback,
} from "./ops/rows.ts";

/** The composed ops with kernels, by the names of their calls. */
export const fusedOps: Readonly<Record<string, FusedOp>> = {
  nearField,
  "nearField.pullback": nearFieldPullback,
  farField,
  "farField.pullback": farFieldPullback,
  fullAttention,
  "fullAttention.pullback": fullAttentionPullback,
  layerNorm,
  "layerNorm.pullback": layerNormPullback,
  softmaxCrossEntropy: crossEntropy,
  "softmaxCrossEntropy.pullback": crossEntropyPullback,
  gelu,
  "gelu.pullback": geluPullback,
  eluPlusOne,
  adamUpdate,
};
