// What browser.test.ts does in a page.
import { type GpuEngine, type GpuMode, gpu } from "@fmmformer/kernels/gpu";
import { table } from "../laws/table.ts";
import { misplacedBy } from "./long-array.ts";
import { runsPrimitive } from "./primitive-law.ts";

const engines = new Map<GpuMode, GpuEngine>();

function engineOf(mode: GpuMode): GpuEngine {
  const engine = engines.get(mode) ?? gpu({ mode });
  engines.set(mode, engine);
  return engine;
}

/** Open a device; the mode that it runs in. */
export function open(mode: GpuMode): Promise<GpuMode> {
  return engineOf(mode).open();
}

/** Law 8 for one primitive. */
export async function primitive(mode: GpuMode, name: string, numRuns: number): Promise<number> {
  const entry = table.find(({ primitive }) => primitive === name);
  if (!entry) throw new RangeError(`primitive: expected one of the table, got ${name}`);
  return runsPrimitive(entry, engineOf(mode), { numRuns });
}

/** How many elements of a long array are not where they belong. */
export function misplaced(mode: GpuMode, size: number): Promise<number> {
  return misplacedBy(engineOf(mode), size);
}
