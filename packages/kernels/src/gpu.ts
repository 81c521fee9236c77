// The engine that runs programs as gpu.js kernels: on WebGPU, WebGL2, and without a graphics processor.

export { DonatedError } from "./donation.ts";
export type { GpuMode } from "./gpu/device.ts";
export { type GpuEngine, type GpuOptions, gpu } from "./gpu/engine.ts";
export { GpuKernelError, GpuLostError, GpuUnavailableError } from "./gpu/errors.ts";
export { type ExplainedKernel, explainKernels } from "./gpu/explain.ts";
export {
  bandDot,
  bandMatmul,
  bandSoftmax,
  bandTranspose,
  farField,
  type GpuKernel,
  nearField,
  type OnGpu,
} from "./gpu/kernels.ts";
