import { GpuKernelError, GpuLostError, GpuUnavailableError } from "./errors.ts";

type GpuJs = typeof import("gpu.js");

/** Each gpu.js mode with the remedy for where it is missing. */
const remedies = {
  webgpu: 'in Node set navigator.gpu from the package "webgpu", in a browser enable WebGPU',
  webgl2: "run in a browser that has WebGL 2",
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
  /** Free kernels and arrays, once what is at work is done; a second call does nothing. */
  destroy(): Promise<void>;
}

interface Built {
  (...inputs: unknown[]): unknown;
  destroy(): void;
  /** What gpu.js runs, and why that is not what was asked for */
  readonly kernel: Holding & { readonly fallbackReason?: string | null };
}

/** What a WebGPU kernel made last, with how many refer to it. */
interface Holding {
  outputBuffer?: { _refs: number; destroy(): void } | null;
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
  const onDevice = mode !== "cpu" && mode !== "webasm";
  const built = new Map<string, Built>();
  /** What was made and not freed, and by which kernel: gpu.js reads it through that one */
  const alive = new Map<Handle, Built>();
  /** What destroy waits for */
  const atWork = new Set<Promise<unknown>>();
  let context: Context = {};
  let destroyed: Promise<void> | undefined;

  /** Give a kernel up, unless something that it made is in use. */
  const discard = (key: string): boolean => {
    const kernel = built.get(key);
    if (!kernel || [...alive.values()].includes(kernel)) return false;
    built.delete(key);
    kernel.destroy();
    return true;
  };
  const build = (key: string, { source, size }: Kernel): Built => {
    const known = built.get(key);
    if (known) {
      built.delete(key); // and to the end: the first is the one that was not used for longest
      built.set(key, known);
      return known;
    }
    if (built.size >= mostKernels) [...built.keys()].some(discard);
    const settings = { output: [size], precision: "single" as const, pipeline: onDevice, immutable: onDevice };
    const kernel = gpu.createKernel(source, settings) as unknown as Built;
    built.set(key, kernel);
    return kernel;
  };
  /** Do something with the device. What fails because the device is gone is told so, whatever gpu.js or the driver say. */
  const onOpen = async <T>(name: string, work: () => Promise<T>, failed: () => void): Promise<T> => {
    if (destroyed) throw closed(name);
    if (isLost(context)) throw lost(name, mode);
    const working = work();
    atWork.add(working);
    try {
      const result = await working;
      if (isLost(context)) throw new Error("the device was lost"); // WebGL goes on, and reads zeros
      return result;
    } catch (cause) {
      if (isLost(context)) throw lost(name, mode, cause);
      failed();
      throw new GpuKernelError(
        `${name}: expected a kernel that runs in mode ${mode}, got "${firstLine(cause)}"; see the cause`,
        { cause },
      );
    } finally {
      atWork.delete(working);
    }
  };
  const launch = (kernel: Kernel, inputs: readonly unknown[], sizes: readonly unknown[]): Promise<Handle> => {
    const key = `${kernel.size}(${sizes.join()})${kernel.source}`;
    const work = async (): Promise<Handle> => {
      const run = build(key, kernel);
      const result = (await run(...inputs)) as Handle;
      // gpu.js runs without the device what its mode cannot run, which nobody asked for.
      if (run.kernel.fallbackReason) throw new Error(run.kernel.fallbackReason);
      if (onDevice) alive.set(result, run);
      letGo(run.kernel);
      return result;
    };
    return onOpen(kernel.name, work, () => void discard(key));
  };
  const free = (handle: Handle): void => {
    if (alive.delete(handle) && !(handle instanceof Float32Array)) handle.delete();
  };
  // gpu.js declares number[] and takes a typed array whole
  const wrap = (x: Float32Array): unknown => new Input(x as unknown as number[], [x.length]);

  const device: Device = {
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
    read: (handle) =>
      onOpen(
        "read",
        async () => (handle instanceof Float32Array ? handle : ((await handle.toArray()) as Float32Array)),
        () => {},
      ),
    free,
    destroy() {
      destroyed ??= Promise.allSettled(atWork)
        .then(() => {
          for (const handle of [...alive.keys()]) free(handle);
          built.clear();
          return gpu.destroy();
        })
        .then(() => {
          (gpu as unknown as { kernels: unknown[] }).kernels.length = 0; // where those of mode cpu stay
        });
      return destroyed;
    },
  };
  try {
    const one = await device.run({ name: "open", source: "function () { return 1; }", size: 1 }, []);
    context = (one as { readonly context?: Context }).context ?? {};
    const [value] = await device.read(one);
    free(one);
    if (value !== 1) throw new Error(`a device that makes ${value} of 1`);
  } catch (cause) {
    await device.destroy();
    throw unavailable(mode, cause instanceof GpuKernelError ? cause.cause : cause);
  }
  return device;
}

/** Where gpu.js keeps arrays: WebGL itself knows whether it was lost; of WebGPU gpu.js notes it, before what waits for the device fails. */
interface Context {
  isContextLost?(): boolean;
  readonly isLost?: boolean;
}

/** gpu.js keeps what a kernel made last until it makes the next, which for a step in training is all that lies between. */
function letGo(kernel: Holding): void {
  const { outputBuffer } = kernel;
  if (!outputBuffer) return;
  kernel.outputBuffer = null;
  outputBuffer._refs--;
  if (outputBuffer._refs === 0) outputBuffer.destroy();
}

function isLost(context: Context): boolean {
  return context.isLost ?? context.isContextLost?.() ?? false;
}

/** What is said of an engine that was destroyed. */
export function closed(name: string): GpuUnavailableError {
  return new GpuUnavailableError(`${name}: expected an open engine, got one that was destroyed; make another`);
}

function lost(name: string, mode: GpuMode, cause?: unknown): GpuLostError {
  return new GpuLostError(
    `${name}: expected a device for mode ${mode}, got one that was lost; make another engine and go on from what was last read or saved`,
    { cause },
  );
}

function unavailable(mode: GpuMode, cause: unknown): GpuUnavailableError {
  return new GpuUnavailableError(
    `gpu: expected a device for mode ${mode}, got "${firstLine(cause)}"; ${remedies[mode]}`,
    { cause },
  );
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
    throw unavailable(mode, cause);
  }
}

function firstLine(cause: unknown): string {
  return (cause instanceof Error ? cause.message : String(cause)).split("\n", 1)[0].trim();
}
