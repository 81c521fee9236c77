import type { Program } from "@fmmformer/autodiff";
import { type Atom, Dense, type Equation, type Var } from "@fmmformer/autodiff/extend";

/** Who reads what in a program. */
export interface Uses {
  /** The one equation that reads a variable; null where there are none or several, or it is an output. */
  sole(variable: Var): Equation | null;
  /** Whether a value is there before an equation runs. */
  ready(x: Atom, before: Equation): boolean;
}

export function usesOf(program: Program): Uses {
  const readers = new Map<Atom, Equation | null>();
  const made = new Map<Atom, number>();
  const place = new Map<Equation, number>();
  program.equations.forEach((equation, at) => {
    place.set(equation, at);
    for (const x of equation.ins) readers.set(x, readers.has(x) ? null : equation);
    for (const v of equation.outs) made.set(v, at);
  });
  for (const y of program.outputs) readers.set(y, null);
  return {
    sole: (variable) => readers.get(variable) ?? null,
    ready: (x, before) => x instanceof Dense || (made.get(x) ?? -1) < (place.get(before) as number),
  };
}
