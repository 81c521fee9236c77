import type { Program } from "@fmmformer/autodiff";
import { type Atom, Dense, type Equation, type Var } from "@fmmformer/autodiff/extend";

/** Who reads what in a program. */
export interface Uses {
  /** The one equation that reads a variable; null where there are none or several, or it is an output. */
  sole(variable: Var): Equation | null;
  /** All equations that read a variable. */
  readers(variable: Var): readonly Equation[];
  /** Whether a value is there before an equation runs. */
  ready(x: Atom, before: Equation): boolean;
}

export function usesOf(program: Program): Uses {
  const readers = new Map<Atom, Equation[]>();
  const results = new Set<Atom>(program.outputs);
  const made = new Map<Atom, number>();
  const place = new Map<Equation, number>();
  program.equations.forEach((equation, at) => {
    place.set(equation, at);
    for (const x of equation.ins) {
      const list = readers.get(x);
      if (list) list.push(equation);
      else readers.set(x, [equation]);
    }
    for (const v of equation.outs) made.set(v, at);
  });
  return {
    sole(variable) {
      const [first, ...others] = readers.get(variable) ?? [];
      return first && others.length === 0 && !results.has(variable) ? first : null;
    },
    readers: (variable) => readers.get(variable) ?? [],
    ready: (x, before) => x instanceof Dense || (made.get(x) ?? -1) < (place.get(before) as number),
  };
}
