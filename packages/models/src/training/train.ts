import { type Engine, flatten, isTensor, jit, random, type Tensor, valueAndGrad } from "@fmmformer/autodiff";
import type { Layer } from "../layers/layer.ts";
import { type Model, prepared, score } from "../model.ts";
import { applyUpdates, type Optimizer } from "../optimizers/optimizer.ts";
import type { Curve } from "../report/learning-curves.ts";
import type { Batch, Task } from "../tasks/task.ts";
import { defaultEngine } from "./default-engine.ts";

/** How a model is trained. */
export interface TrainOptions {
  readonly optimizer: Optimizer;
  readonly steps: number;
  /** Examples in a step */
  readonly batchSize: number;
  /** For the first parameters and for dropout; 0 unless told */
  readonly seed?: number;
  /** What runs the compiled step; the wasm engine on one thread unless told */
  readonly engine?: Engine;
  /** Called after every step, from 1 */
  readonly onStep?: (step: number, values: StepValues) => void;
}

/** What a step shows of the batch that it trained on. */
export interface StepValues {
  /** in nats */
  readonly loss: number;
  /** 0 … 1 */
  readonly accuracy: number;
}

/** A trained model's parameters, and how training went. */
export interface Trained<Params> {
  readonly params: Params;
  readonly curve: Omit<Curve, "task" | "model">;
  /** Wall time, compiling included */
  readonly seconds: number;
}

/**
 * Train a model on a task: each step is one compiled function of the parameters, what the optimizer remembers, the batch and a key.
 *
 * The same options give the same parameters, bit for bit.
 *
 * @throws RangeError when steps or batchSize is no whole number ≥ 1, or the loss is no longer a number
 */
export function train<Params>(
  model: Layer<Params> | Model<Params>,
  task: Task,
  options: TrainOptions,
): Trained<Params> {
  const { optimizer, steps, batchSize, seed = 0, engine = defaultEngine(), onStep } = options;
  for (const [name, value] of Object.entries({ steps, batchSize })) {
    if (!Number.isInteger(value) || value < 1) {
      throw new RangeError(`train: expected ${name} to be an integer ≥ 1, got ${value}`);
    }
  }
  const [ofParams, ofSteps] = random.split(random.key(seed));
  const step = jit(
    (params: Params, state: unknown, batch: Batch, key: Tensor) => {
      const loss = (p: Params): readonly [Tensor, Tensor] => {
        const scores = score(model, p, batch, { key });
        return [scores.loss, scores.accuracy];
      };
      const [[value, share], grads] = valueAndGrad(loss, { hasAux: true })(params);
      const [updates, next] = optimizer.update(grads, state, params);
      return { params: applyUpdates(params, updates), state: next, loss: value, accuracy: share };
    },
    { engine, donate: [0, 1] },
  );

  let params = model.init(ofParams);
  let state = optimizer.init(params);
  const curve = { steps: [] as number[], loss: [] as number[], accuracy: [] as number[] };
  const began = performance.now();
  for (let at = 1; at <= steps; at++) {
    const batch = prepared(model, task.batch("train", at - 1, batchSize));
    const done = step(params, state, batch, random.fold(ofSteps, at));
    params = done.params;
    state = done.state;
    const values = { loss: done.loss.item(), accuracy: done.accuracy.item() };
    if (!Number.isFinite(values.loss)) {
      throw new RangeError(`train: expected a finite loss, got ${values.loss} at step ${at}; lower the learning rate`);
    }
    curve.steps.push(at);
    curve.loss.push(values.loss);
    curve.accuracy.push(values.accuracy);
    onStep?.(at, values);
  }
  // The engine keeps parameters in its memory until they are read.
  for (const x of flatten(params).leaves) if (isTensor(x)) void x.data;
  return { params, curve, seconds: (performance.now() - began) / 1000 };
}
