import { existsSync, mkdtempSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { type GpuEngine, type GpuMode, gpu } from "@fmmformer/kernels/gpu";

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
  const skipped = await webgpuInNode();
  if (skipped === null) engines.push(gpu({ mode: "webgpu" }));
  for (const engine of engines) await engine.open();
  return { engines, skipped };
}

/** Make WebGPU available in Node. Null, or why it is not. */
async function webgpuInNode(): Promise<string | null> {
  process.env.VK_ICD_FILENAMES ??= softwareDriver;
  if (!existsSync(process.env.VK_ICD_FILENAMES.split(":")[0]))
    return `no Vulkan driver at ${process.env.VK_ICD_FILENAMES}`;
  process.env.XDG_RUNTIME_DIR ??= mkdtempSync(join(tmpdir(), "fmmformer-"));
  try {
    const { create, globals } = await import("webgpu");
    Object.assign(globalThis, globals);
    const navigator = (globalThis.navigator ?? {}) as { gpu?: unknown };
    navigator.gpu = create([]);
    Object.defineProperty(globalThis, "navigator", { value: navigator, configurable: true });
    const { GPU } = await import("gpu.js");
    return (await GPU.isWebGPUAvailable()) ? null : "no WebGPU adapter";
  } catch (error) {
    return `the package webgpu does not load: ${(error as Error).message.split("\n", 1)[0]}`;
  }
}

export async function closeModes({ engines }: Modes): Promise<void> {
  for (const engine of engines) await engine.destroy();
}

export type { GpuMode };
