import { existsSync, mkdtempSync, readdirSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type GpuEngine, type GpuMode, GpuUnavailableError, gpu } from "@fmmformer/kernels/gpu";

/** A driver without a graphics processor: Debian's chromium has it. */
const softwareDriver = "/usr/lib/chromium/vk_swiftshader_icd.json";

/** The engines that run in this process, and what is missing for others. */
export interface Modes {
  readonly engines: readonly GpuEngine[];
  readonly skipped: string | null;
}

/** Open an engine of each mode: cpu and webasm anywhere, webgpu where there is a Vulkan driver. */
export async function openModes(): Promise<Modes> {
  const engines = (["cpu", "webasm"] as const).map((mode) => gpu({ mode }));
  const skipped = await provideWebgpu();
  if (skipped === null) engines.push(gpu({ mode: "webgpu" }));
  for (const engine of engines) await engine.open();
  return { engines, skipped };
}

/** Open an engine of one mode. */
export async function openMode(mode: "cpu" | "webasm" | "webgpu"): Promise<GpuEngine> {
  const missing = mode === "webgpu" ? await provideWebgpu() : null;
  if (missing) throw new GpuUnavailableError(`gpu: expected a device for mode webgpu, got ${missing}; choose another`);
  const engine = gpu({ mode });
  await engine.open();
  return engine;
}

/** Make WebGPU available in Node: that of the system's drivers, else of the one without a graphics processor. Null, or why it is not. */
export async function provideWebgpu(): Promise<string | null> {
  process.env.XDG_RUNTIME_DIR ??= mkdtempSync(join(tmpdir(), "fmmformer-"));
  try {
    const { create, globals } = await import("webgpu");
    Object.assign(globalThis, globals);
    const { GPU } = await import("gpu.js");
    const runs = (): Promise<boolean> => {
      const navigator = (globalThis.navigator ?? {}) as { gpu?: unknown };
      navigator.gpu = create([]);
      Object.defineProperty(globalThis, "navigator", { value: navigator, configurable: true });
      return GPU.isWebGPUAvailable();
    };
    if (hasDrivers() && (await runs())) return null;
    if (process.env.VK_ICD_FILENAMES) return `no WebGPU adapter with the driver ${process.env.VK_ICD_FILENAMES}`;
    if (!existsSync(softwareDriver)) return `no WebGPU adapter, and no driver at ${softwareDriver}`;
    process.env.VK_ICD_FILENAMES = softwareDriver;
    return (await runs()) ? null : `no WebGPU adapter with the driver ${softwareDriver}`;
  } catch (error) {
    return `the package webgpu does not load: ${(error as Error).message.split("\n", 1)[0]}`;
  }
}

/** Whether the system may have drivers of its own: asking Vulkan for them where there are none prints warnings. */
function hasDrivers(): boolean {
  if (process.platform !== "linux" || process.env.VK_ICD_FILENAMES) return true;
  const folders = ["/etc/vulkan/icd.d", "/usr/share/vulkan/icd.d", "/usr/local/share/vulkan/icd.d"];
  return folders.some((folder) => existsSync(folder) && readdirSync(folder).length > 0);
}

export async function closeModes({ engines }: Modes): Promise<void> {
  for (const engine of engines) await engine.destroy();
}

export type { GpuMode };
