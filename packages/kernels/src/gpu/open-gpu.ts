import type { IKernelRunShortcut } from "gpu.js";
import { GpuKernelError, GpuUnavailableError } from "./errors.ts";
import { type Kernel, kernelSource, orderInputs, sizeOf, threadSizes } from "./kernel.ts";

type GpuJs = typeof import("gpu.js");

/** Each gpu.js mode with the remedy for where it is missing. */
const remedies = {
  webgpu: 'in Node set navigator.gpu from the package "webgpu", in a browser enable WebGPU',
  webgl2: "run in a browser",
  headlessgl: 'install the package "gl" and run under a display, as xvfb-run gives one',
  webasm: "run where WebAssembly is enabled",
  cpu: "see the cause",
};

/** Where gpu.js runs a kernel: on a graphics processor (webgpu, webgl2, headlessgl) or without one (webasm, cpu). */
export type GpuMode = keyof typeof remedies;

/** An open gpu.js device with the kernels built on it so far. */
export interface Gpu {
  readonly mode: GpuMode;
  /**
   * Runs a kernel over row-major arrays, which it reads before it returns. The first run of a kernel builds it, which
   * takes 5 to 150 ms by mode; later runs find it in a cache.
   *
   * @throws RangeError or ShapeError as `orderInputs` does; GpuKernelError when gpu.js cannot compile or run the
   *   kernel; GpuUnavailableError after `destroy`
   */
  run(kernel: Kernel, arrays: Readonly<Record<string, Float32Array | undefined>>): Promise<Float32Array>;
  /** Frees the kernels and their memory; a second call does nothing. */
  destroy(): Promise<void>;
}

/**
 * Opens gpu.js, an optional peer that is loaded here and not before, in one mode. No mode stands in for another.
 *
 * Mode cpu adds in float64 and rounds once; webasm and the graphics modes add in float32.
 *
 * @throws RangeError when there is no such mode; GpuUnavailableError when gpu.js is not installed or cannot run in it
 */
export async function openGpu({ mode }: { mode: GpuMode }): Promise<Gpu> {
  if (!Object.hasOwn(remedies, mode)) {
    throw new RangeError(`openGpu: expected mode ${Object.keys(remedies).join(", ")}, got ${mode}`);
  }
  const { GPU, Input } = await loadGpuJs();
  const device = await openDevice(GPU, mode);
  const built = new Map<string, IKernelRunShortcut>();
  let destroyed: Promise<void> | undefined;

  function build(kernel: Kernel) {
    // the lengths of the inputs are in the built code too, though not in the text
    const key = JSON.stringify(kernel);
    const settings = { output: threadSizes(kernel.output), precision: "single" } as const;
    const found = built.get(key) ?? device.createKernel(kernelSource(kernel), settings);
    built.set(key, found);
    return found;
  }

  return {
    mode,
    async run(kernel, arrays) {
      if (destroyed) {
        throw new GpuUnavailableError(`${kernel.name}: expected an open gpu, got a destroyed one; open another`);
      }
      const inputs = orderInputs(kernel, arrays).map(
        // gpu.js declares number[] and takes a typed array whole
        ({ array, axes }) => new Input(array as unknown as number[], threadSizes(axes)),
      );
      try {
        return flatten(await build(kernel)(...inputs), sizeOf(kernel.output));
      } catch (cause) {
        throw new GpuKernelError(
          `${kernel.name}: expected a kernel that runs in mode ${mode}, got "${firstLine(cause)}"; see the cause`,
          { cause },
        );
      }
    },
    destroy() {
      destroyed ??= device.destroy();
      return destroyed;
    },
  };
}

async function loadGpuJs(): Promise<GpuJs> {
  try {
    return await import("gpu.js");
  } catch (cause) {
    throw new GpuUnavailableError(
      `openGpu: expected the optional package gpu.js, got "${firstLine(cause)}"; run npm install gpu.js@2.24.1`,
      { cause },
    );
  }
}

async function openDevice(GPU: GpuJs["GPU"], mode: GpuMode) {
  try {
    if (mode === "webgpu" && !(await GPU.isWebGPUAvailable())) throw new Error("no adapter");
    return new GPU({ mode });
  } catch (cause) {
    throw new GpuUnavailableError(
      `openGpu: expected a device for mode ${mode}, got "${firstLine(cause)}"; ${remedies[mode]}`,
      { cause },
    );
  }
}

/** gpu.js nests a result in rows: views of one buffer in webasm and webgpu, arrays of their own in the other modes. */
function flatten(result: unknown, size: number): Float32Array {
  const rows = (result instanceof Float32Array ? [result] : (result as unknown[]).flat(2)) as Float32Array[];
  const buffer = rows[0]!.buffer;
  if (buffer.byteLength === 4 * size) return new Float32Array(buffer);
  const flat = new Float32Array(size);
  rows.forEach((row, index) => {
    flat.set(row, index * row.length);
  });
  return flat;
}

function firstLine(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).split("\n", 1)[0]!.trim();
}
