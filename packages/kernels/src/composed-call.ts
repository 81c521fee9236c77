import type { CallParams, Equation, Var } from "@fmmformer/autodiff/extend";

// How engines read a call. Inputs of a pullback are those of the op, what it gave (residuals behind), and cotangents.

/** A use of a composed op. */
export type Call = Equation & { readonly params: CallParams };

export const inFloat32 = ({ ins, outs }: Call): boolean => [...ins, ...outs].every(({ dtype }) => dtype !== "float64");

/** Static parameters of the op. */
export function parameters<P>({ params }: Call): P {
  return params.callee.params as P;
}

/** Which of its arguments a pullback gives cotangents of, in the order of its results: null for those it does not. */
export function wanted<Names extends string>(
  { params, outs }: Call,
  names: readonly Names[],
): { readonly [name in Names]: Var | null } {
  const needs = params.callee.params.needs as readonly boolean[];
  let at = 0;
  const found = names.map((name, i) => [name, needs[i] ? outs[at++] : null]);
  return Object.fromEntries(found) as { readonly [name in Names]: Var | null };
}
