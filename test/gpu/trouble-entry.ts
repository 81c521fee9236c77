// What browser-trouble.test.ts does in a page.
import { type GpuMode, gpu } from "@fmmformer/kernels/gpu";
import { leftByEngines } from "./coming-and-going.ts";
import type { Live } from "./live.ts";
import { type Losses, lose, refuse } from "./losing.ts";

export { type Losses, lose, refuse };

export function left(mode: GpuMode, count: number): Promise<readonly Live[]> {
  return leftByEngines(mode, count);
}

/** Which mode an engine takes, or what it says of it. */
export async function open(mode: GpuMode | "auto"): Promise<string> {
  const engine = gpu({ mode });
  try {
    await engine.open();
    return engine.mode;
  } catch (error) {
    return `${(error as Error).name}: ${(error as Error).message}`;
  } finally {
    await engine.destroy();
  }
}
