import {
  type AsyncEngine,
  type Engine,
  flatten,
  isTensor,
  jit,
  random,
  type Stats,
  type Tensor,
  valueAndGrad,
} from "@fmmformer/autodiff";
import type { Layer } from "../layers/layer.ts";
import { type Model, prepared, score } from "../model.ts";
import { applyUpdates, type Optimizer } from "../optimizers/optimizer.ts";
import type { Batch, Task } from "../tasks/task.ts";
import { defaultEngine } from "./default-engine.ts";

/** All that training goes on from, bit for bit: a step is a function of this, the seed and the batch of its number. */
export interface TrainState<Params> {
  readonly params: Params;
  /** What the optimizer remembers */
  readonly optimizer: unknown;
  /** Steps made, from 0 */
  readonly step: number;
}

/** What a step shows of the batch that it trained on. */
export interface StepValues {
  /** in nats */
  readonly loss: number;
  /** 0 … 1 */
  readonly accuracy: number;
}

export interface StepperOptions<Params> {
  readonly optimizer: Optimizer;
  /** Examples in a step */
  readonly batchSize: number;
  /** For the first parameters and for dropout; 0 unless told */
  readonly seed?: number;
  /** What runs the compiled step; the wasm engine on one thread unless told */
  readonly engine?: Engine;
  /** Where to go on from; the first parameters of the seed unless told */
  readonly start?: TrainState<Params>;
}

/** What training begins with. */
export function firstParams<Params>(model: Layer<Params>, seed: number): Params {
  const [ofParams] = random.split(random.key(seed));
  return model.init(ofParams);
}

/** Training, a step at a time. */
export interface Stepper<Params> {
  /**
   * Make a step.
   *
   * @throws RangeError when the loss is no longer a number
   */
  next(): StepValues;
  /** Read where training is. The engine keeps it in its own memory until then, so this costs a copy. */
  state(): TrainState<Params>;
  /** What a step costs; null before the first, and where the engine does not tell. */
  stats(): Stats | null;
}

/** Training on an engine that answers later: state and parameters stay on its device between steps. */
export interface AsyncStepper<Params> {
  next(): Promise<StepValues>;
  state(): Promise<TrainState<Params>>;
  stats(): Stats | null;
}

/**
 * Train a model on a task a step at a time: each is one compiled function of the parameters, what the optimizer remembers, the batch and a
 * key.
 *
 * Step t takes the batch t − 1 and the key `fold(steps, t)`, so that training from a state goes on as if it had not been interrupted.
 */
export function stepper<Params>(
  model: Layer<Params> | Model<Params>,
  task: Task,
  options: Omit<StepperOptions<Params>, "engine"> & { readonly engine: AsyncEngine },
): AsyncStepper<Params>;
export function stepper<Params>(
  model: Layer<Params> | Model<Params>,
  task: Task,
  options: StepperOptions<Params>,
): Stepper<Params>;
export function stepper<Params>(
  model: Layer<Params> | Model<Params>,
  task: Task,
  options: Omit<StepperOptions<Params>, "engine"> & { readonly engine?: Engine | AsyncEngine },
): Stepper<Params> | AsyncStepper<Params> {
  const { optimizer, batchSize, seed = 0, engine = defaultEngine(), start } = options;
  const [, ofSteps] = random.split(random.key(seed));
  const compiled = jit(
    (params: Params, state: unknown, batch: Batch, key: Tensor) => {
      const loss = (p: Params): readonly [Tensor, Tensor] => {
        const scores = score(model, p, batch, { key });
        return [scores.loss, scores.accuracy];
      };
      const [[value, share], grads] = valueAndGrad(loss, { hasAux: true })(params);
      const [updates, next] = optimizer.update(grads, state, params);
      return { params: applyUpdates(params, updates), state: next, loss: value, accuracy: share };
    },
    { engine: engine as Engine, donate: [0, 1] },
  );

  let params = start?.params ?? firstParams(model, seed);
  let state = start?.optimizer ?? optimizer.init(params);
  let step = start?.step ?? 0;
  const noted = (done: ReturnType<typeof compiled>): StepValues => {
    params = done.params;
    state = done.state;
    step += 1;
    const values = { loss: done.loss.item(), accuracy: done.accuracy.item() };
    if (!Number.isFinite(values.loss)) {
      throw new RangeError(
        `train: expected a finite loss, got ${values.loss} at step ${step}; lower the learning rate`,
      );
    }
    return values;
  };
  const advance = (): ReturnType<typeof compiled> => {
    const key = random.fold(ofSteps, step + 1);
    return compiled(params, state, prepared(model, task.batch("train", step, batchSize)), key);
  };
  if ("read" in engine) {
    return {
      next: async () => noted(await advance()),
      async state() {
        const read = await engine.read({ params, optimizer: state });
        return { ...read, step };
      },
      stats: compiled.stats,
    };
  }
  return {
    next: () => noted(advance()),
    state() {
      for (const x of flatten([params, state]).leaves) if (isTensor(x)) void x.data;
      return { params, optimizer: state, step };
    },
    stats: compiled.stats,
  };
}
