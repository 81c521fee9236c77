import { add, grad, jit, matmul, mul, random, sum, type Tensor, tanh, tensor } from "@fmmformer/autodiff";
import { type GpuEngine, type GpuMode, gpu } from "@fmmformer/kernels/gpu";
import { countLive, type Live } from "./live.ts";

/** State that stays on the device, a constant, and kernels in between. */
function descent(engine: GpuEngine): () => Promise<Tensor> {
  const constant = tensor(new Float32Array(24).fill(0.5), { shape: [4, 6] });
  const step = jit(
    (w: Tensor, x: Tensor) => {
      const loss = (u: Tensor): Tensor => sum(tanh(add(matmul(x, u), constant)));
      return add(w, mul(grad(loss)(w), -0.1));
    },
    { engine, donate: [0] },
  );
  const [w, x] = [random.normal(random.key(0), [5, 6]), random.normal(random.key(1), [4, 5])];
  return async () => step(await step(w, x), x);
}

/** What is left after engines that were destroyed with state on the device: of each but the first, which sees what gpu.js makes for all. */
export async function leftByEngines(mode: GpuMode, count: number): Promise<readonly Live[]> {
  const live = countLive();
  const left: Live[] = [];
  for (let i = 0; i < count; i++) {
    const engine = gpu({ mode });
    await descent(engine)();
    if (live().kernels === 0) throw new Error("live: expected an engine at work to have kernels, got none");
    await engine.destroy();
    left.push(live());
  }
  return left;
}

/** What an engine holds after a program that was dropped with state on the device, and after many that were compiled anew. */
export async function heldForPrograms(
  mode: GpuMode,
  count: number,
  collect: () => Promise<void>,
): Promise<readonly [few: Live, many: Live]> {
  const live = countLive();
  const engine = gpu({ mode });
  const run = async (times: number): Promise<void> => {
    for (let i = 0; i < times; i++) await descent(engine)();
  };
  await run(1);
  for (let i = 0; i < 5; i++) await collect();
  const few = live();
  await run(count);
  // When something is collected is not for us to say.
  for (let i = 0; i < 50 && live().arrays > few.arrays; i++) await collect();
  const many = live();
  await engine.destroy();
  return [few, many];
}
