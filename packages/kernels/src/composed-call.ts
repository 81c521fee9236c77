import type { Atom, CallParams, Equation, Var } from "@fmmformer/autodiff/extend";

// How engines read a call. Inputs of a pullback are those of the op, what it gave (residuals behind), and cotangents.

/** A use of a composed op. */
export type Call = Equation & { readonly params: CallParams };

export const isFloat32 = ({ dtype }: Atom): boolean => dtype === "float32";

export const inFloat32 = ({ ins, outs }: Call): boolean => [...ins, ...outs].every(({ dtype }) => dtype !== "float64");

/** Static parameters of the op. */
export function parameters<P>({ params }: Call): P {
  return params.callee.params as P;
}

/**
 * Cotangents of the inputs that a pullback gives, by name in the order of the inputs: null for those that are not wanted. An input that never
 * has one, as a mask, is null among the names.
 */
export function wanted<Names extends string>(
  { params, outs }: Call,
  names: readonly (Names | null)[],
): { readonly [name in Names]: Var | null } {
  const needs = params.callee.params.needs as readonly boolean[];
  let at = 0;
  const found = names.flatMap((name, i) => (name === null ? [] : [[name, needs[i] ? outs[at++] : null]]));
  return Object.fromEntries(found) as { readonly [name in Names]: Var | null };
}
