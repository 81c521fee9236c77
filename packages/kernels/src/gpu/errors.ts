import { FmmformerError } from "@fmmformer/autodiff";

/** A gpu.js mode that cannot run here: no gpu.js, no adapter, no driver, or an engine that was destroyed. */
export class GpuUnavailableError extends FmmformerError {}

/** A kernel that gpu.js could not compile or run, by name; its cause is gpu.js's own error. */
export class GpuKernelError extends FmmformerError {}

/** A device that went away, with what lay on it: its driver restarted, it was unplugged, or the browser took it back. */
export class GpuLostError extends FmmformerError {}
