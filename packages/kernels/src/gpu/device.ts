import { GpuKernelError, GpuUnavailableError } from "./errors.ts";

type GpuJs = typeof import("gpu.js");

/** Each gpu.js mode with the remedy for where it is missing. */
const remedies = {
  webgpu: 'in Node set navigator.gpu from the package "webgpu", in a browser enable WebGPU',
  webgl2: "run in a browser",
  headlessgl: 'install the package "gl" and run under a display, as xvfb-run gives one',
  webasm: "run where WebAssembly is enabled",
  cpu: "see the cause",
};

/** Where gpu.js runs kernels: on a graphics processor (webgpu, webgl2, headlessgl) or without one (webasm, cpu). */
export type GpuMode = keyof typeof remedies;

export const gpuModes: readonly GpuMode[] = Object.keys(remedies) as GpuMode[];

/** An array on the device: of a graphics processor a buffer or texture, elsewhere the numbers themselves. */
export type Handle = Float32Array | { toArray(): unknown; delete(): void };

/** A kernel as gpu.js builds it: equal text and sizes are one kernel, built once. */
export interface Kernel {
  /** Of whom an error speaks */
  readonly name: string;
  readonly source: string;
  /** How many elements it makes */
  readonly size: number;
}

/** An open gpu.js device with the kernels built on it so far. */
export interface Device {
  readonly mode: GpuMode;
  /** Run a kernel on arrays and numbers. */
  run(kernel: Kernel, inputs: readonly (Handle | number)[]): Promise<Handle>;
  write(values: Float32Array): Promise<Handle>;
  read(handle: Handle): Promise<Float32Array>;
  free(handle: Handle): void;
  /** Free the kernels and their memory; a second call does nothing. */
  destroy(): Promise<void>;
}

interface Built {
  (...inputs: unknown[]): unknown;
  destroy(): void;
}

/** A webasm kernel reserves ten gigabytes of addresses, of which a process has 2⁴⁷ bytes. */
const mostKernels = 4096;

/**
 * Open gpu.js, an optional peer that is loaded here and not before, in one mode. No mode stands in for another.
 *
 * Mode cpu adds in float64 and rounds once; webasm and the graphics modes add in float32.
 *
 * @throws GpuUnavailableError when gpu.js is not installed or cannot run in this mode
 */
export async function openDevice(mode: GpuMode): Promise<Device> {
  const { GPU, Input } = await loadGpuJs();
  const gpu = await open(GPU, mode);
  const built = new Map<string, Built>();
  const onDevice = mode !== "cpu" && mode !== "webasm";
  let destroyed: Promise<void> | undefined;

  const build = ({ source, size }: Kernel, sizes: readonly unknown[]): Built => {
    const key = `${size}(${sizes.join()})${source}`;
    const known = built.get(key);
    if (known) {
      built.delete(key); // and to the end: the first is the one that was not used for longest
      built.set(key, known);
      return known;
    }
    const [oldest] = built;
    if (built.size >= mostKernels) {
      built.delete(oldest[0]);
      oldest[1].destroy();
    }
    const settings = { output: [size], precision: "single" as const, pipeline: onDevice, immutable: onDevice };
    const kernel = gpu.createKernel(source, settings) as unknown as Built;
    built.set(key, kernel);
    return kernel;
  };
  const launch = async (kernel: Kernel, inputs: readonly unknown[], sizes: readonly unknown[]): Promise<Handle> => {
    if (destroyed)
      throw new GpuUnavailableError(`${kernel.name}: expected an open gpu, got a destroyed one; open another`);
    try {
      return (await build(kernel, sizes)(...inputs)) as Handle;
    } catch (cause) {
      throw new GpuKernelError(
        `${kernel.name}: expected a kernel that runs in mode ${mode}, got "${firstLine(cause)}"; see the cause`,
        { cause },
      );
    }
  };
  // gpu.js declares number[] and takes a typed array whole
  const wrap = (x: Float32Array): unknown => new Input(x as unknown as number[], [x.length]);

  return {
    mode,
    run: (kernel, inputs) =>
      launch(
        kernel,
        inputs.map((x) => (x instanceof Float32Array ? wrap(x) : x)),
        inputs.map((x) => (typeof x === "number" ? "" : sizeOf(x))),
      ),
    async write(values) {
      if (!onDevice) return values;
      const copy = { name: "write", source: "function (a) { return a[this.thread.x]; }", size: values.length };
      return launch(copy, [wrap(values)], [`w${values.length}`]);
    },
    async read(handle) {
      const values = handle instanceof Float32Array ? handle : await handle.toArray();
      return values as Float32Array;
    },
    free(handle) {
      if (!(handle instanceof Float32Array)) handle.delete();
    },
    destroy() {
      destroyed ??= gpu.destroy();
      return destroyed;
    },
  };
}

function sizeOf(x: Handle): number {
  return x instanceof Float32Array ? x.length : (x as unknown as { output: readonly number[] }).output[0];
}

async function loadGpuJs(): Promise<GpuJs> {
  try {
    return await import("gpu.js");
  } catch (cause) {
    throw new GpuUnavailableError(
      `gpu: expected the optional package gpu.js, got "${firstLine(cause)}"; run npm install gpu.js@2.24.1`,
      { cause },
    );
  }
}

async function open(GPU: GpuJs["GPU"], mode: GpuMode) {
  try {
    if (mode === "webgpu" && !(await GPU.isWebGPUAvailable())) throw new Error("no adapter");
    return new GPU({ mode });
  } catch (cause) {
    throw new GpuUnavailableError(
      `gpu: expected a device for mode ${mode}, got "${firstLine(cause)}"; ${remedies[mode]}`,
      {
        cause,
      },
    );
  }
}

function firstLine(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).split("\n", 1)[0].trim();
}
