import type { AsyncEngine, Program } from "@fmmformer/autodiff";
import { Dense } from "@fmmformer/autodiff/extend";
import { pair } from "../donation.ts";
import { checkPrimitives } from "../known-names.ts";
import { closed, type Device, type GpuMode, gpuModes, openDevice } from "./device.ts";
import { flat } from "./flat.ts";
import { fusedOpOf } from "./fused.ts";
import { lower } from "./lower.ts";
import { fetchedTree } from "./resident.ts";
import { rowNumbersOf } from "./row-numbers.ts";
import { type Compiled, run } from "./run.ts";
import { split } from "./split.ts";

/** How the engine runs. */
export interface GpuOptions {
  /** Where kernels run; "auto", the default, takes the first of webgpu, webgl2 and webasm that runs here, and the engine's `mode` tells which */
  readonly mode?: GpuMode | "auto";
}

/** An engine on gpu.js. Compiled functions return promises. */
export interface GpuEngine extends AsyncEngine {
  /** Where kernels run; "auto" until the device was opened */
  readonly mode: GpuMode | "auto";
  /** Open the device now rather than at the first run. */
  open(): Promise<GpuMode>;
  /** A tree with copies in memory of what lies on the device, as state that was given to jit does. */
  read<Tree>(tree: Tree): Promise<Tree>;
  /**
   * Free everything, once the kernel at work is done: what still lies on the device is lost, and whatever is asked of the engine afterwards
   * throws GpuUnavailableError. A second call does nothing.
   */
  destroy(): Promise<void>;
}

/**
 * Make the engine that runs programs as gpu.js kernels: on a graphics processor (webgpu, webgl2, headlessgl) or without one (webasm, cpu).
 *
 * A kernel computes one element of its result, as many at once as the device can. Elementwise ops and what moves elements become part of the
 * kernel that needs them. Everything is float32: integers are whole to 2²⁴, float64 is for scalars such as learning rates, which are computed
 * on the host, as random bits are. State that is given to jit (`donate`) stays on the device between calls: read it with `engine.read`.
 * Arrays have at most 2²⁴ elements, loops (scan) at most 64 rounds.
 *
 * The device is opened at the first run: that throws GpuUnavailableError where a mode cannot run, and no other mode is taken but for "auto".
 * A kernel that does not compile or run throws GpuKernelError, which names its op; a device that goes away GpuLostError, from the runs in
 * flight that read something and from all later ones: what lay there is gone, and another engine opens another device.
 *
 * @throws RangeError when there is no such mode
 */
export function gpu({ mode = "auto" }: GpuOptions = {}): GpuEngine {
  if (mode !== "auto" && !gpuModes.includes(mode)) {
    throw new RangeError(`gpu: expected mode auto, ${gpuModes.join(", ")}, got ${mode}`);
  }
  let opening: Promise<Device> | undefined;
  let opened: Device | undefined;
  let closing: Promise<void> | undefined;
  const close = async (): Promise<void> => {
    const device = await opening?.catch(() => undefined);
    await device?.destroy();
  };
  const device = async (): Promise<Device> => {
    if (closing) throw closed("gpu");
    opening ??= mode === "auto" ? openFirst() : openDevice(mode);
    try {
      opened = await opening;
      return opened;
    } catch (error) {
      opening = undefined;
      throw error;
    }
  };
  return {
    name: "gpu",
    get mode() {
      return opened?.mode ?? mode;
    },
    open: async () => (await device()).mode,
    compile(program, { donated = [] } = {}) {
      const compiled = compile(program, donated);
      return async (values) => run(compiled, values, await device());
    },
    read: fetchedTree,
    destroy() {
      closing ??= close();
      return closing;
    },
  };
}

/** The first mode that runs here; webasm runs anywhere. */
async function openFirst(): Promise<Device> {
  for (const mode of ["webgpu", "webgl2"] as const) {
    try {
      return await openDevice(mode);
    } catch {}
  }
  return openDevice("webasm");
}

/** A program as kernels, and what the host does for them. */
export function compile(given: Program, donated: readonly number[]): Compiled {
  const program = flat(given, (call) => fusedOpOf(call) !== null);
  checkPrimitives("gpu", program.equations);
  const pairs = pair(program, donated);
  // What the host computes it keeps: only what kernels make of an input will be on the device at the next call.
  const first = split(program, (input) => pairs.some(([given]) => given === input));
  const staying = pairs.filter(([, output]) => {
    const y = program.outputs[output];
    return !(y instanceof Dense || first.known.has(y));
  });
  const divided = split(program, (input) => staying.some(([given]) => given === input));
  return { program, split: divided, plan: lower(program, divided), pairs: staying, rowNumbers: rowNumbersOf(given) };
}
