import { FmmformerError } from "@fmmformer/autodiff";

/** A gpu.js mode that cannot run here: no gpu.js, no adapter, no driver, or a device already destroyed. */
export class GpuUnavailableError extends FmmformerError {}

/** A kernel that gpu.js could not compile or run, by name; its cause is gpu.js's own error. */
export class GpuKernelError extends FmmformerError {}
