import { add, jit, matmul, mul, sum, type Tensor, tensor } from "@fmmformer/autodiff";
import { type GpuEngine, GpuKernelError, GpuLostError, type GpuMode, gpu } from "@fmmformer/kernels/gpu";
import { before, replace } from "./live.ts";

const x = tensor(
  Float32Array.from({ length: 25 }, (_, i) => Math.sin(i)),
  { shape: [5, 5] },
);

/** A few kernels, state that stays on the device, and a number that is read. */
function chain(engine: GpuEngine): (state: Tensor) => Promise<readonly [state: Tensor, total: Tensor]> {
  const body = (y: Tensor): readonly [Tensor, Tensor] => {
    const end = Array.from({ length: 6 }).reduce<Tensor>((z, _, i) => matmul(mul(z, i + 0.5), z), y);
    return [end, sum(end)];
  };
  return jit(body, { engine, donate: [0] });
}

/** What is told of a device that is lost. */
export interface Losses {
  /** By a run in flight, by a later one, by a new program, and of state on the device */
  readonly told: readonly string[];
  /** Whether another engine, in the same mode, gives what the first one gave */
  readonly again: boolean;
}

/** Where a run is when its device goes. */
export type Moment = "at its third kernel" | "reading";

/** Lose the device of an engine while it runs, as a driver that restarts does. */
export async function lose(mode: GpuMode, moment: Moment): Promise<Losses> {
  const classes = globalThis as unknown as Record<string, { readonly prototype: object } | undefined>;
  const prototypeOf = (of: string): object | undefined => classes[of]?.prototype;
  let [device, encoded, reading] = [null as GPUDevice | null, Number.NaN, false];
  const loseNow = (context: object): void => {
    device?.destroy();
    (context as Partial<WebGL2RenderingContext>).getExtension?.("WEBGL_lose_context")?.loseContext();
    [encoded, reading] = [Number.NaN, false];
  };
  const onKernel = (context: object): void => {
    encoded++;
    if (moment === "at its third kernel" && encoded === 3) loseNow(context);
  };
  const onRead = (context: object): void => {
    if (moment === "reading" && reading) loseNow(context);
  };
  const restore = [
    before(prototypeOf("GPUDevice"), "createCommandEncoder", (on) => {
      device = on as GPUDevice;
    }),
    before(prototypeOf("GPUComputePassEncoder"), "dispatchWorkgroups", onKernel),
    before(prototypeOf("GPUBuffer"), "mapAsync", onRead),
    before(prototypeOf("WebGL2RenderingContext"), "drawArrays", onKernel),
    before(prototypeOf("WebGL2RenderingContext"), "readPixels", onRead),
  ];
  try {
    const engine = gpu({ mode });
    const run = chain(engine);
    const [state] = await run(x);
    const wanted = (await engine.read(state)).data;
    [encoded, reading] = [0, true];
    const running = told(run(x));
    const ofAll = [
      await running,
      await told(run(x)),
      await told(jit((y: Tensor) => add(y, 3), { engine })(x)),
      await told(engine.read(state)),
      await told(run(state)),
    ];
    await engine.destroy();
    const other = gpu({ mode });
    const [found] = await other.read(await chain(other)(x));
    await other.destroy();
    return { told: ofAll, again: wanted.every((value: number, i: number) => value === found.data[i]) };
  } finally {
    for (const undo of restore) undo();
  }
}

/** What is told of kernels whose text a driver refuses, and whether the engine goes on afterwards. */
export async function refuse(mode: GpuMode): Promise<{ readonly told: string; readonly again: number }> {
  const engine = gpu({ mode });
  await jit((y: Tensor) => add(y, 3), { engine })(x); // x can be sent from here on
  const run = jit((y: Tensor) => matmul(mul(y, 0.25), y), { engine });
  const classes = globalThis as unknown as Record<string, { readonly prototype: object } | undefined>;
  const broken = "no shader at all";
  const restore = [
    replace(classes.GPUDevice?.prototype, "createShaderModule", (method) => {
      return function () {
        return method.call(this, { code: broken });
      };
    }),
    replace(classes.WebGL2RenderingContext?.prototype, "shaderSource", (method) => {
      return function (shader) {
        return method.call(this, shader, broken);
      };
    }),
  ];
  let first: string;
  try {
    first = await told(run(x));
  } finally {
    for (const undo of restore) undo();
  }
  const again = (await run(x)).data[0];
  await engine.destroy();
  return { told: first, again };
}

async function told(running: Promise<unknown>): Promise<string> {
  try {
    await running;
    return "nothing";
  } catch (error) {
    const known = error instanceof GpuLostError || error instanceof GpuKernelError;
    return `${known ? error.name : "another error"}: ${(error as Error).message}`;
  }
}
