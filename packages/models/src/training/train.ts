import type { Layer } from "../layers/layer.ts";
import type { Model } from "../model.ts";
import type { Curve } from "../report/learning-curves.ts";
import type { Task } from "../tasks/task.ts";
import { type StepperOptions, type StepValues, stepper, type TrainState } from "./stepper.ts";

/** How a model is trained. */
export interface TrainOptions<Params = never> extends StepperOptions<Params> {
  /** How many steps in all, those before `start` included */
  readonly steps: number;
  /**
   * Called after every step, from 1.
   * @param state - reads where training is, which a step does not do by itself
   */
  readonly onStep?: (step: number, values: StepValues, state: () => TrainState<Params>) => void;
}

/** A trained model's parameters, and how training went. */
export interface Trained<Params> {
  readonly params: Params;
  /** What to go on from */
  readonly state: TrainState<Params>;
  readonly curve: Omit<Curve, "task" | "model">;
  /** Wall time, compiling included */
  readonly seconds: number;
}

/**
 * Train a model on a task.
 *
 * The same options give the same parameters, bit for bit, for any number of threads, and whether training was interrupted or not: going on
 * from the `state` of half the steps equals all of them at once.
 *
 * @throws RangeError when steps or batchSize is no whole number ≥ 1, `start` has made more steps than asked for, or the loss is no longer a
 *   number
 */
export function train<Params>(
  model: Layer<Params> | Model<Params>,
  task: Task,
  options: TrainOptions<Params>,
): Trained<Params> {
  const { steps, batchSize, start, onStep } = options;
  for (const [name, value] of Object.entries({ steps, batchSize })) {
    if (!Number.isInteger(value) || value < 1) {
      throw new RangeError(`train: expected ${name} to be an integer ≥ 1, got ${value}`);
    }
  }
  const made = start?.step ?? 0;
  if (made > steps) throw new RangeError(`train: expected a start of at most ${steps} steps, got ${made}`);
  const training = stepper(model, task, options);
  const curve = { steps: [] as number[], loss: [] as number[], accuracy: [] as number[] };
  const began = performance.now();
  for (let at = made + 1; at <= steps; at++) {
    const values = training.next();
    curve.steps.push(at);
    curve.loss.push(values.loss);
    curve.accuracy.push(values.accuracy);
    onStep?.(at, values, training.state);
  }
  const state = training.state();
  return { params: state.params, state, curve, seconds: (performance.now() - began) / 1000 };
}
