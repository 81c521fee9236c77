import { add, cast, clip, cos, div, maximum, minimum, mul, pow, type Scalar, sub } from "@fmmformer/autodiff";

/** A number that changes with the step, from 0: the step may be traced. */
export type Schedule = (step: Scalar) => Scalar;

/** What an option is after so many steps: a schedule's value, in float64 as step counts can be large, or the number itself. */
export function valueAt(option: Scalar | Schedule, step: Scalar): Scalar {
  return typeof option === "function" ? option(cast(step, "float64")) : option;
}

/** The same at every step. */
export function constant(value: number): Schedule {
  return () => value;
}

/** Rise in a line over the first steps, to what another schedule gives; step 0 has 1/steps of it. */
export function warmUp(steps: number, then: Schedule | number): Schedule {
  return (step) => mul(minimum(1, div(add(step, 1), Math.max(steps, 1))), typeof then === "number" ? then : then(step));
}

export interface CosineOptions {
  /** The value at step 0 */
  readonly peak: number;
  /** The step from which on it is `end` */
  readonly steps: number;
  /** 0 unless told */
  readonly end?: number;
}

/**
 * Fall along half a wave:
 *
 *     y = end + ½ (peak − end) (1 + cos(π min(step / steps, 1)))
 *
 * @see Loshchilov, Hutter (2017), SGDR, equation 5, https://arxiv.org/abs/1608.03983
 */
export function cosine({ peak, steps, end = 0 }: CosineOptions): Schedule {
  return (step) => {
    const turned = mul(minimum(1, div(step, steps)), Math.PI);
    return add(end, mul((peak - end) / 2, add(1, cos(turned))));
  };
}

export interface StairsOptions {
  /** The value at step 0 */
  readonly start: number;
  /** What it is multiplied by at each stair */
  readonly factor: number;
  /** The steps from which on it is so */
  readonly steps: readonly number[];
}

/** Multiply by a factor at some steps. */
export function stairs({ start, factor, steps }: StairsOptions): Schedule {
  return (step) => {
    const passed = steps.map((stair) => clip(sub(step, stair - 1), 0, 1));
    return mul(
      start,
      pow(
        factor,
        passed.reduce<Scalar>((count, one) => add(count, one), 0),
      ),
    );
  };
}

export interface OneCycleOptions {
  /** The largest learning rate */
  readonly peak: number;
  /** How many steps the cycle takes */
  readonly steps: number;
  /** How many of them it rises */
  readonly warmUp: number;
  /** peak over the first learning rate; 25 unless told */
  readonly divide?: number;
  /** The first learning rate over the last; 1e4 unless told */
  readonly finalDivide?: number;
  /** β₁ at the ends and at the peak; [0.95, 0.85] unless told */
  readonly momentum?: readonly [ends: number, peak: number];
}

/**
 * Rise in a line to the peak and fall in a line behind it, while β₁ does the contrary: as PyTorch's `OneCycleLR` with the linear strategy, the
 * peak being at step warmUp − 1. Spread it over the options of Adam: `adamw({ ...oneCycle({ … }) })`.
 *
 * @see Smith, Topin (2018), Super-convergence, https://arxiv.org/abs/1708.07120
 */
export function oneCycle(options: OneCycleOptions): { readonly learningRate: Schedule; readonly beta1: Schedule } {
  const { peak, steps, warmUp, divide = 25, finalDivide = 1e4, momentum: [ends, least] = [0.95, 0.85] } = options;
  const first = peak / divide;
  const top = warmUp - 1;
  const last = steps - 1;
  const tent = (from: number, over: number, to: number): Schedule => {
    const lower = from < over ? minimum : maximum;
    return (step) => lower(line(step, [0, from], [top, over]), line(step, [top, over], [last, to]));
  };
  return { learningRate: tent(first, peak, first / finalDivide), beta1: tent(ends, least, ends) };
}

type Point = readonly [step: number, value: number];

/** The line through two points, level outside them. */
function line(step: Scalar, [from, start]: Point, [to, end]: Point): Scalar {
  const part = div(sub(step, from), Math.max(to - from, 1));
  return add(start, mul(end - start, clip(part, 0, 1)));
}
