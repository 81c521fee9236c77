// What the engine calls by name. Every function but `run`, `start` and `serve` is a kernel or an elementwise op, and has its place in the table.
export { run } from "./run";
export { serve } from "./serve";
export { start } from "./start";
export * from "./elementwise";
export { chain, chains } from "./chain";
export { combine } from "./combine";
export { copyRound } from "./scan-copy";
export * from "./rows";
export * from "./gather";
export { randomBits } from "./random-bits";
export { triangularSolve_float32, triangularSolve_float64 } from "./triangular-solve";
export * from "./band";
export { causalPrefix, causalProduct, causalSums } from "./causal-product";
export { causalProduct_float64 } from "./causal-product-64";
export { matmul } from "./matmul";
export { matmul64, matmulInt } from "./matmul-other";
export { nearField } from "./near-field";
export { nearFieldBias, nearFieldPullback } from "./near-field-pullback";
export { layerNorm, layerNormPullback, layerNormPullbackSum } from "./layer-norm";
export { softmaxCrossEntropy, softmaxCrossEntropyPullback } from "./cross-entropy";
export { lowRankRead, lowRankState, lowRankStateSum } from "./low-rank-field";
export { lowRankReadCausal } from "./low-rank-causal";
export { lowRankPullCausal } from "./low-rank-causal-pullback";
export { lowRankPullKeys, lowRankPullQueries } from "./low-rank-field-pullback";
export { fullAttention } from "./full-attention";
export { fullAttentionDots, fullAttentionPullKeys, fullAttentionPullQueries } from "./full-attention-pullback";

/** Where constants end and free memory begins. */
export const base: usize = __heap_base;
