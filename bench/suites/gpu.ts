import { type AsyncEngine, type Engine, jit, matmul, ones, softmax, type Tensor, zeros } from "@fmmformer/autodiff";
import { farField, featureMaps, layerNorm, nearField } from "@fmmformer/kernels";
import { type GpuEngine, type GpuMode, gpu } from "@fmmformer/kernels/gpu";
import { provideWebgpu } from "../../test/gpu/modes.ts";
import { drawnHeads, forwardAndBackward } from "../attention-cases.ts";
import { type Case, drawn, type Settings, type Skipped } from "../case.ts";
import { trainingStep } from "../training-step.ts";

/** What is timed on every engine. */
interface Work {
  readonly label: string;
  readonly shape: string;
  /** Made for one engine, which answers at once or later: results are in memory when a run is over */
  make(engine: Engine): () => unknown;
}

const modes: readonly GpuMode[] = ["webgpu", "webgl2", "headlessgl", "webasm", "cpu"];

/**
 * The same work in every mode of the gpu engine that runs in Node here, beside the engine of the settings. Inputs are sent and results read
 * at every call, but for the state of training.
 */
export async function* gpuModes(settings: Settings): AsyncIterable<Case | Skipped> {
  const works = worksOf(settings);
  const labelled = ({ label, shape, make }: Work, by: string, engine: Engine | AsyncEngine) =>
    // An overload of jit for either kind of engine serves the other.
    ({ label: `${label}, ${by}`, shape, seconds: 1, run: make(engine as Engine) });
  for (const work of works) yield labelled(work, settings.engine.name, settings.engine);
  for (const mode of modes) {
    const engine = gpu({ mode });
    const skipped = await missing(engine, mode);
    if (skipped !== null) {
      yield { label: `mode ${mode}`, skipped };
      continue;
    }
    const driver = mode === "webgpu" ? await driverOfWebgpu() : null;
    for (const work of works) {
      const against = `${work.label}, ${settings.engine.name}`;
      yield {
        ...labelled(work, mode, engine),
        ...{ engine: `gpu:${mode}`, against, ...(driver && { note: () => driver }) },
      };
    }
    await engine.destroy();
  }
}

function worksOf({ threads, tokens = 512, batch = 1, ...settings }: Settings): readonly Work[] {
  const heads = [batch, 4, tokens, 32]; // (b, h, n, d)
  const attention = (label: string, attend: (q: Tensor, k: Tensor, v: Tensor) => Tensor): Work => ({
    label,
    shape: `b${batch} h4 n${tokens} d32`,
    make(engine) {
      const [q, k, v, g] = drawnHeads(heads);
      const both = forwardAndBackward(attend, { engine });
      return () => both(q, k, v, g);
    },
  });
  const op = (label: string, f: (...xs: Tensor[]) => Tensor, ...shapes: (readonly number[])[]): Work => ({
    label,
    shape: shapes[0].join("×"),
    make(engine) {
      const xs = shapes.map(drawn);
      const run = jit(f, { engine });
      return () => run(...xs);
    },
  });
  const step = { ...settings, threads, tokens: Math.ceil(tokens / 8), batch: 2 * batch };
  return [
    attention("near field both ways", (q, k, v) => nearField(q, k, v, { bandwidth: 11 })),
    attention("far field both ways", (q, k, v) => farField(q, k, v, { features: [featureMaps.elu] })),
    op("matmul", (x, y) => matmul(x, y), [tokens, tokens], [tokens, tokens]),
    op("softmax", (x) => softmax(x), [tokens, tokens]),
    op("layer norm", (x) => layerNorm(x, ones([256]), zeros([256])), [4 * tokens, 256]),
    {
      label: "training step",
      shape: `b${step.batch} n${step.tokens} c64 h2`,
      make: (engine) => trainingStep({ ...step, engine }).run,
    },
  ];
}

/** Why a mode does not run here; null where it does. */
async function missing(engine: GpuEngine, mode: GpuMode): Promise<string | null> {
  const withoutWebgpu = mode === "webgpu" ? await provideWebgpu() : null;
  if (withoutWebgpu !== null) return withoutWebgpu;
  try {
    await engine.open();
    return null;
  } catch (error) {
    return (error as Error).message;
  }
}

/** What WebGPU runs on: a graphics processor, or a driver without one. */
async function driverOfWebgpu(): Promise<string | null> {
  const { info } = (await navigator.gpu.requestAdapter()) ?? {};
  return info ? `on ${info.description || info.device || info.vendor}` : null;
}
