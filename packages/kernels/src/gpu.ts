export type { BandDotShape, BandMatmulShape, BandShape } from "./gpu/band.ts";
export {
  bandDot,
  bandDotKernel,
  bandDotPullback,
  bandMatmul,
  bandMatmulKernel,
  bandMatmulPullback,
  bandTranspose,
  bandTransposeKernel,
  bandTransposePullback,
} from "./gpu/band.ts";
export { GpuKernelError, GpuUnavailableError } from "./gpu/errors.ts";
export type { Normalization } from "./gpu/far-field-read.ts";
export {
  farFieldRead,
  farFieldReadPullback,
  normalizeKernel,
  normalizePullbackKernel,
} from "./gpu/far-field-read.ts";
export { farFieldState, farFieldStatePullback } from "./gpu/far-field-state.ts";
export type { Axes, Kernel } from "./gpu/kernel.ts";
export type { FarFieldShape, Last } from "./gpu/low-rank.ts";
export {
  applyState,
  applyStateKernel,
  applyStateTransposed,
  applyStateTransposedKernel,
  outerSum,
  outerSumKernel,
  sumBlocksKernel,
} from "./gpu/low-rank.ts";
export type { Gpu, GpuMode } from "./gpu/open-gpu.ts";
export { openGpu } from "./gpu/open-gpu.ts";
