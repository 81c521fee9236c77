import type { AsyncEngine, Engine } from "@fmmformer/autodiff";
import { LawError } from "@fmmformer/kernels/laws";
import { adamw, evaluate, fmmformer, switchBoard, train } from "@fmmformer/models";

const task = switchBoard({ votes: 5, majority: 3, symbols: 8, reach: 2 });
const { vocabulary, length, classes, kind } = task;
const model = fmmformer({
  ...{ vocabulary, length, classes, kind, width: 16, hidden: 32, layers: 1 },
  attention: { kind: "fmm", bandwidth: 3, kernels: ["elu"] },
});
const steps = 50;

export interface SmallTraining {
  /** Before each step */
  readonly losses: readonly number[];
  /** Of other examples, behind the last step */
  readonly loss: number;
  /** How often something was read from the device, for each step */
  readonly reads: readonly number[];
  readonly milliseconds: { readonly first: number; readonly median: number };
}

/** Train a small model of both fields, on an engine that answers at once or later. */
export async function smallTraining(engine: Engine | AsyncEngine): Promise<SmallTraining> {
  const counter = countReads();
  try {
    const [reads, times] = [[0], [performance.now()]];
    const onStep = (): void => {
      reads.push(counter.reads());
      times.push(performance.now());
    };
    // An overload for either kind of engine serves the other.
    const { params, curve } = await train(model, task, {
      ...{ optimizer: adamw({ learningRate: 1e-2 }), batchSize: 8, steps, onStep, engine: engine as AsyncEngine },
    });
    const { loss } = await evaluate(model, params, task, { batchSize: 8, batches: 2, engine: engine as AsyncEngine });
    const [first, ...later] = times.slice(1).map((time, i) => time - times[i]);
    const median = later.sort((a, b) => a - b)[later.length >> 1];
    return {
      losses: curve.loss,
      loss,
      reads: reads.slice(1).map((count, i) => count - reads[i]),
      milliseconds: { first, median },
    };
  } finally {
    counter.stop();
  }
}

/** Count the transfers from graphics processors, whoever makes them. */
function countReads(): { reads(): number; stop(): void } {
  let count = 0;
  const restore: (() => void)[] = [];
  const watch = (prototype: object | undefined, name: string): void => {
    const own = prototype && Object.getOwnPropertyDescriptor(prototype, name);
    if (!prototype || !own) return;
    const counted = function (this: unknown, ...args: unknown[]): unknown {
      count++;
      return own.value.apply(this, args);
    };
    Object.defineProperty(prototype, name, { ...own, value: counted });
    restore.push(() => Object.defineProperty(prototype, name, own));
  };
  const classes = globalThis as { GPUBuffer?: { prototype: object }; WebGL2RenderingContext?: { prototype: object } };
  watch(classes.GPUBuffer?.prototype, "mapAsync");
  watch(classes.WebGL2RenderingContext?.prototype, "readPixels");
  return {
    reads: () => count,
    stop: () => {
      for (const each of restore) each();
    },
  };
}

/**
 * Fail where training went otherwise, or read more from the device than the loss and the accuracy of a step.
 *
 * @returns the largest difference of a loss
 */
export function trainsAlike(
  found: SmallTraining,
  expected: SmallTraining,
  { readsOfAStep }: { readonly readsOfAStep: number },
): number {
  const differences = found.losses.map((loss, step) => Math.abs(loss - expected.losses[step]));
  differences.push(Math.abs(found.loss - expected.loss));
  if (differences.length !== steps + 1 || !differences.every((x) => x <= 1e-4)) {
    throw new LawError(`training: expected losses within 1e-4 of ${expected.losses}, got ${found.losses}`);
  }
  // Before the first step gpu.js tries what the device can read.
  const [, ...later] = found.reads;
  if (!later.every((count) => count === readsOfAStep)) {
    throw new LawError(`training: expected ${readsOfAStep} reads a step, got ${later}`);
  }
  return Math.max(...differences);
}
