import { vmap } from "./batch.ts";
import { eye } from "./create.ts";
import { isFloat } from "./dtype.ts";
import { ShapeError, showShape } from "./errors.ts";
import { reshape } from "./primitives/layout.ts";
import { sameShape } from "./shape.ts";
import { floating, grad, record } from "./tape.ts";
import { asTensor, type Scalar, type Tensor, zerosLike } from "./tensor.ts";
import { type Args, type Cotangent, flatten, matching, unflatten } from "./tree.ts";

// Forward mode without forward rules: a pullback is linear in its cotangent, so its own pullback is the pushforward.

/**
 * Evaluate a function and get its derivative as a linear function of the tangents.
 *
 * @returns `[f(...args), pushforward]`; the pushforward takes one tangent tree per argument and may be called again. It costs about one
 * backward pass and its transpose
 */
export function linearize<A extends Args, Y>(
  f: (...args: A) => Y,
  ...args: A
): [Y, (...tangents: { [K in keyof A]: Cotangent<A[K]> }) => Cotangent<Y>] {
  const { leaves, structure } = flatten(args);
  const inputs = leaves.map((x) => asTensor("linearize", x));
  const forward = record((xs) => f(...(unflatten(structure, xs) as A)), inputs);
  const zero = forward.outputs.map((y) => zerosLike(y));
  const backward = record((cts) => forward.pull(cts).map((ct, i) => ct ?? zerosLike(inputs[i])), zero);
  const pushforward = (...tangents: unknown[]): Cotangent<Y> => {
    const given = tangentLeaves(structure, tangents, inputs);
    const found = backward.pull(given);
    const outs = forward.outputs.map((y, i) => (isFloat(y.dtype) ? (found[i] ?? zerosLike(y)) : null));
    return unflatten(forward.structure, outs) as Cotangent<Y>;
  };
  return [forward.result as Y, pushforward as never];
}

function tangentLeaves(
  structure: Parameters<typeof matching>[1],
  tangents: unknown,
  inputs: readonly Tensor[],
): (Tensor | null)[] {
  return matching("jvp", structure, tangents).map((t, i) => {
    const x = inputs[i];
    if (t === null || !isFloat(x.dtype)) return null;
    const tangent = asTensor("jvp", t);
    if (sameShape(tangent.shape, x.shape)) return tangent;
    throw new ShapeError(`jvp: expected a tangent of shape ${showShape(x.shape)}, got ${showShape(tangent.shape)}`);
  });
}

/**
 * Evaluate a function and its derivative along tangents: the value and J·t.
 *
 * @param args - where, one entry per argument
 * @param tangents - the direction, in the form of `args`; null for integer tensors
 */
export function jvp<A extends Args, Y>(
  f: (...args: A) => Y,
  args: NoInfer<A>,
  tangents: NoInfer<{ [K in keyof A]: Cotangent<A[K]> }>,
): [Y, Cotangent<Y>] {
  const [y, pushforward] = linearize(f, ...(args as A));
  return [y, pushforward(...tangents)];
}

/** For each tensor of a result of type Y, a tree of the type of a gradient with respect to X. */
export type Jacobian<Y, X> = Y extends Tensor | number ? Cotangent<X> : { [K in keyof Y]: Jacobian<Y[K], X> };

/**
 * A function that returns the Jacobian with respect to its first argument, row by row from one pullback.
 *
 * @returns for each tensor of the result, a tree like the argument whose tensors have the axes of the result in front of their own
 * @throws DTypeError when the argument holds integers
 */
export function jacobian<A extends Args, Y>(f: (...args: A) => Y): (...args: A) => Jacobian<Y, A[0]> {
  return (...args) => {
    const [first, ...rest] = args as readonly unknown[];
    const { leaves, structure } = flatten(first);
    const inputs = leaves.map((x) => floating("jacobian", x, "cast it"));
    const {
      outputs,
      structure: form,
      pull,
    } = record((xs) => f(...([unflatten(structure, xs), ...rest] as unknown as A)), inputs);
    const blocks = outputs.map((y, at) => {
      const rows = vmap((g: Tensor) =>
        pull(outputs.map((_, i) => (i === at ? g : null))).map((ct, i) => ct ?? zerosLike(inputs[i])),
      )(reshape(eye(y.size, { dtype: y.dtype }), [y.size, ...y.shape]));
      return unflatten(
        structure,
        rows.map((row, i) => reshape(row, [...y.shape, ...inputs[i].shape])),
      );
    });
    return unflatten(form, blocks) as Jacobian<Y, A[0]>;
  };
}

/** A function that returns the matrix of second derivatives of a scalar function of one tensor: its axes twice. */
export function hessian<A extends Args>(f: (...args: A) => Scalar): (...args: A) => Jacobian<Cotangent<A[0]>, A[0]> {
  return jacobian(grad(f) as (...args: A) => Cotangent<A[0]>);
}
