// What browser.test.ts does in a page.
import { type GpuEngine, type GpuMode, gpu } from "@fmmformer/kernels/gpu";
import { runsAlikeOn } from "@fmmformer/kernels/laws";
import { parseSafetensors } from "@fmmformer/models";
import { checkFixture, type Worst } from "../check-fixture.ts";
import { table } from "../laws/table.ts";
import { misplacedBy } from "./long-array.ts";
import { opCases } from "./op-cases.ts";
import { runsPrimitive } from "./primitive-law.ts";
import { type SmallTraining, smallTraining } from "./small-training.ts";

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

/** Law 8 for one composed op. */
export function composed(mode: GpuMode, name: string): Promise<void> {
  const one = opCases.find((each) => each.name === name);
  if (!one) throw new RangeError(`composed: expected an op of the cases, got ${name}`);
  const { op, args, tolerance = 1e-5 } = one;
  return runsAlikeOn(op, [...args], engineOf(mode), { tolerance });
}

/** What is furthest off of an official fixture, given in base 64. */
export function fixture(mode: GpuMode, file: string): Promise<Worst> {
  const bytes = Uint8Array.from(atob(file), (letter) => letter.charCodeAt(0));
  return checkFixture(parseSafetensors(bytes), engineOf(mode));
}

/** Fifty steps of training. */
export function training(mode: GpuMode): Promise<SmallTraining> {
  return smallTraining(engineOf(mode));
}
