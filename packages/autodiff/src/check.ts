import { isFloat } from "./dtype.ts";
import { GradientError } from "./errors.ts";
import { sum } from "./primitives/broadcast.ts";
import { cast } from "./primitives/cast.ts";
import { add, mul, sub } from "./primitives/elementwise.ts";
import { fold, key as newKey, normal } from "./random.ts";
import { vjp } from "./tape.ts";
import { asTensor, type Tensor } from "./tensor.ts";
import { type Args, flatten, unflatten } from "./tree.ts";

/** How gradients are checked. */
export interface CheckOptions {
  /** How many derivatives, one on the other. Default 1. */
  readonly order?: number;
  /** For the random directions. */
  readonly key?: Tensor;
  /** Relative to the largest number compared. Default 1e-6. */
  readonly tolerance?: number;
}

/**
 * Check the gradients of a function against central differences, in float64 and along random directions.
 *
 * For a random cotangent g and tangent t it compares ⟨g, J t⟩, J t by differences, with ⟨pullback(g), t⟩; for a higher order it does the
 * same with the pullback as the function.
 *
 * @param f - any function of trees that is smooth near `args`
 * @param args - where to check; float tensors and numbers are made float64, integers stay as they are
 * @throws GradientError when they disagree, with both numbers and the order
 */
export function checkGradients<A extends Args>(f: (...args: A) => unknown, args: A, options: CheckOptions = {}): void {
  const { order = 1, key = newKey(0), tolerance = 1e-6 } = options;
  const { leaves, structure } = flatten(args);
  const values = leaves.map((x) => doubled(asTensor("checkGradients", x)));
  const outputs = (xs: readonly Tensor[]): Tensor[] =>
    flatten(f(...(unflatten(structure, xs) as A))).leaves.map((y) => asTensor("checkGradients", y));
  checkOrder(outputs, values, 1, order, key, tolerance);
}

function doubled(x: Tensor): Tensor {
  return isFloat(x.dtype) ? cast(x, "float64") : x;
}

type Many = (xs: readonly Tensor[]) => readonly Tensor[];

function checkOrder(f: Many, xs: readonly Tensor[], order: number, last: number, key: Tensor, tolerance: number): void {
  const moving = xs.map((x) => isFloat(x.dtype));
  const [ys, pullback] = vjp((...values: readonly Tensor[]) => f(values), ...xs);
  const tangents = xs.map((x, i) =>
    moving[i] ? normal(fold(fold(key, 2 * order), i), x.shape, { dtype: "float64" }) : x,
  );
  const cts = ys.map((y, i) => normal(fold(fold(key, 2 * order + 1), i), y.shape, { dtype: "float64" }));
  const differences = centralDifference(f, xs, tangents, moving);
  const grads = pullback(cts.map((g, i) => (isFloat(ys[i].dtype) ? g : null)) as never) as readonly (Tensor | null)[];
  const forward = inner(cts.map((g, i) => (isFloat(ys[i].dtype) ? [g, differences[i]] : null)));
  const backward = inner(grads.map((g, i) => (g && moving[i] ? [g, tangents[i]] : null)));
  const scale = Math.max(forward.scale, backward.scale, 1e-3);
  if (!(Math.abs(forward.value - backward.value) <= tolerance * scale)) {
    throw new GradientError(
      `checkGradients: expected ⟨g, J t⟩ = ${forward.value} by differences, got ⟨pullback(g), t⟩ = ${backward.value} ` +
        `(order ${order}, ${(Math.abs(forward.value - backward.value) / scale).toExponential(1)} of the largest term)`,
    );
  }
  if (order === last) return;
  // The next order: the pullback as a function of arguments and cotangents. Cotangents of moderate size keep it well scaled.
  const n = xs.length;
  const next: Many = (values) => {
    const [, pull] = vjp((...args: readonly Tensor[]) => f(args), ...values.slice(0, n));
    const given = pull(
      values.slice(n).map((g, i) => (isFloat(ys[i].dtype) ? g : null)) as never,
    ) as readonly (Tensor | null)[];
    return given.filter((g) => g !== null);
  };
  checkOrder(next, [...xs, ...cts], order + 1, last, key, tolerance);
}

/** J t by differences of fourth order: the error is that of h⁴ and of rounding over h. */
function centralDifference(
  f: Many,
  xs: readonly Tensor[],
  ts: readonly Tensor[],
  moving: readonly boolean[],
): Tensor[] {
  const h = 1e-3;
  const at = (step: number): readonly Tensor[] => f(xs.map((x, i) => (moving[i] ? add(x, mul(ts[i], step)) : x)));
  const [far, near, back, farBack] = [at(2 * h), at(h), at(-h), at(-2 * h)];
  return near.map((_, i) => {
    if (!isFloat(near[i].dtype)) return near[i];
    const slope = sub(mul(8, sub(near[i], back[i])), sub(far[i], farBack[i]));
    return mul(slope, 1 / (12 * h));
  });
}

/** Σ ⟨a, b⟩ over pairs, and the size of its largest term. */
function inner(pairs: readonly (readonly [Tensor, Tensor] | null)[]): {
  readonly value: number;
  readonly scale: number;
} {
  let [value, scale] = [0, 0];
  for (const pair of pairs) {
    if (!pair || pair[0].size === 0) continue;
    const products = mul(pair[0], pair[1]);
    value += sum(products).item();
    for (const term of products.data) scale = Math.max(scale, Math.abs(term));
  }
  return { value, scale };
}

/**
 * Check that a function is linear: f(a + s b) = f(a) + s f(b). Pullbacks must be.
 *
 * @param f - a function of one tree of tensors
 * @param example - an argument, for its form and shapes
 * @throws GradientError when it is not
 */
export function checkLinear<T>(f: (x: T) => unknown, example: T, options: Omit<CheckOptions, "order"> = {}): void {
  const { key = newKey(0), tolerance = 1e-6 } = options;
  const { leaves, structure } = flatten(example);
  const draw = (n: number): Tensor[] =>
    leaves.map((x, i) => normal(fold(fold(key, n), i), asTensor("checkLinear", x).shape, { dtype: "float64" }));
  const [a, b] = [draw(0), draw(1)];
  const at = (xs: readonly Tensor[]): Tensor[] =>
    flatten(f(unflatten(structure, xs) as T)).leaves.map((y) => asTensor("checkLinear", y));
  const [whole, first, second] = [at(a.map((x, i) => add(x, mul(-1.5, b[i])))), at(a), at(b)];
  whole.forEach((y, i) => {
    const worst = largest(sub(y, add(first[i], mul(-1.5, second[i]))));
    const scale = Math.max(largest(y), largest(first[i]), largest(second[i]), 1e-3);
    if (!(worst <= tolerance * scale))
      throw new GradientError(`checkLinear: expected f(a + s b) = f(a) + s f(b), got a difference of ${worst}`);
  });
}

function largest(x: Tensor): number {
  let most = 0;
  for (const v of x.data) most = Math.max(most, Math.abs(v));
  return most;
}
