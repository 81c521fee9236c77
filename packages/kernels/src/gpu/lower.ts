import type { Program } from "@fmmformer/autodiff";
import { type Atom, Dense, type Equation, sizeOf, type Var } from "@fmmformer/autodiff/extend";
import { type Constant, checkSize, createBuilder, type Step } from "./builder.ts";
import type { HostNumber, Stored } from "./code.ts";
import { filled, hostNumber, read } from "./formula.ts";
import { fusedOpOf } from "./fused.ts";
import { rules } from "./rules.ts";
import type { Split } from "./split.ts";

/** A program as kernels in order. */
export interface Plan {
  readonly steps: readonly (Step & { readonly dead: readonly Stored[] })[];
  readonly constants: readonly Constant[];
  /** Values that are sent before a run: inputs, by place, and what the host computed, which is no input: −1 */
  readonly sent: readonly { readonly variable: Var; readonly input: number; readonly stored: Stored }[];
  readonly numbers: readonly Var[];
  /** Where each result is: in an array, or known on the host */
  readonly outputs: readonly (Stored | Var | Dense)[];
}

/** Turn what kernels compute of a program into kernels. */
export function lower(program: Program, { known, device }: Split): Plan {
  const readers = new Map<Atom, number>();
  for (const x of [...device.flatMap(({ ins }) => ins), ...program.outputs]) readers.set(x, (readers.get(x) ?? 0) + 1);
  const builder = createBuilder(readers);
  const sent: Plan["sent"][number][] = [];
  const numbers: Var[] = [];
  const enter = (v: Var): void => {
    if (sizeOf(v.shape) === 0) {
      builder.define(v, filled(0, v));
      return;
    }
    if (known.has(v) && sizeOf(v.shape) === 1) {
      const number: HostNumber = { number: numbers.length };
      numbers.push(v);
      builder.define(v, hostNumber(number, v));
      return;
    }
    checkSize(sizeOf(v.shape), "an input");
    const stored: Stored = { size: sizeOf(v.shape) };
    sent.push({ variable: v, input: program.inputs.indexOf(v), stored });
    builder.define(v, read(stored, v));
  };
  const entered = new Set<Atom>();
  const need = (x: Atom): void => {
    if (x instanceof Dense || entered.has(x)) return;
    entered.add(x);
    if (known.has(x) || program.inputs.includes(x)) enter(x);
  };
  for (const equation of device) {
    for (const x of equation.ins) need(x);
    apply(builder, equation);
  }
  const outputs = program.outputs.map((y): Stored | Var | Dense => {
    if (y instanceof Dense || known.has(y)) return y;
    if (sizeOf(y.shape) === 0) return new Dense(y, 0);
    need(y);
    builder.name = "result";
    return builder.store(builder.formula(y)).stored as Stored;
  });
  const { constants, steps } = builder.findings;
  const alive = [...outputs, ...constants.map(({ stored }) => stored)];
  return {
    ...{ constants, sent, numbers, outputs },
    steps: withDeaths(steps, alive),
  };
}

/** For each kernel the arrays that nothing reads after it. */
function withDeaths(steps: readonly Step[], alive: readonly unknown[]): Plan["steps"] {
  const seen = new Set(alive);
  const found = [...steps].reverse().map((step) => {
    const dead: Stored[] = [];
    for (const x of [...step.inputs, step.output]) {
      if ("number" in x || seen.has(x)) continue;
      seen.add(x);
      dead.push(x);
    }
    return { ...step, dead };
  });
  return found.reverse();
}

function apply(builder: ReturnType<typeof createBuilder>, equation: Equation): void {
  const { prim, params, outs } = equation;
  builder.name = prim.label?.(params) ?? prim.name;
  if (outs.every((y) => sizeOf(y.shape) === 0)) {
    for (const y of outs) builder.define(y, filled(0, y));
    return;
  }
  const rule = fusedOpOf(equation) ?? rules[prim.name];
  const results = rule(builder, equation, equation.ins.map(builder.formula));
  outs.forEach((y, i) => {
    builder.define(y, sizeOf(y.shape) === 0 ? filled(0, y) : results[i]);
  });
}
