import { bind, type Primitive } from "./bind.ts";
import { showShape } from "./errors.ts";
import { type Aval, Dense, type Tensor } from "./tensor.ts";

/** A value in a program: an input, or what an equation makes. */
export interface Var extends Aval {
  readonly id: number;
}

/** What an equation takes: a variable, or a constant. */
export type Atom = Var | Dense;

/** One use of a primitive. */
export interface Equation {
  readonly prim: Primitive;
  readonly params: unknown;
  readonly ins: readonly Atom[];
  readonly outs: readonly Var[];
}

/** A function of tensors written out: equations in order, shapes and dtypes known. Printing it shows it. */
export class Program {
  readonly inputs: readonly Var[];
  readonly equations: readonly Equation[];
  readonly outputs: readonly Atom[];

  constructor(inputs: readonly Var[], equations: readonly Equation[], outputs: readonly Atom[]) {
    this.inputs = inputs;
    this.equations = equations;
    this.outputs = outputs;
  }

  toString(): string {
    return print(this, "");
  }
}

Object.defineProperty(Program.prototype, Symbol.for("nodejs.util.inspect.custom"), {
  value: Program.prototype.toString,
});

/** Parameters of a primitive that runs a program: a call, a loop. */
export interface WithProgram {
  readonly program: Program;
}

function print(program: Program, indent: string): string {
  const names = new Map<number, string>();
  const name = (v: Var): string => {
    if (!names.has(v.id)) names.set(v.id, letters(names.size));
    return names.get(v.id) as string;
  };
  const used = new Set<Atom>([...program.equations.flatMap((e) => e.ins), ...program.outputs]);
  const typed = (v: Var): string => `${used.has(v) ? name(v) : "_"}: ${show(v)}`;
  const atom = (x: Atom): string => (x instanceof Dense ? literal(x) : name(x));
  const lines = [`${indent}program(${program.inputs.map((v) => `${name(v)}: ${show(v)}`).join(", ")})`];
  for (const { prim, params, ins, outs } of program.equations) {
    const shown = prim.show?.(params);
    const call = `${prim.label?.(params) ?? prim.name}${shown ? ` {${shown}}` : ""} ${ins.map(atom).join(" ")}`;
    lines.push(`${indent}  ${outs.map(typed).join(", ")} = ${call}`);
  }
  lines.push(`${indent}  return ${program.outputs.map(atom).join(", ")}`);
  return lines.join("\n");
}

/** a … z, aa, ab, …. */
function letters(n: number): string {
  const last = String.fromCharCode(97 + (n % 26));
  return n < 26 ? last : letters(Math.floor(n / 26) - 1) + last;
}

function show(v: Aval): string {
  const kind = v.weak ? "number" : v.dtype;
  return v.shape.length === 0 ? kind : `${kind}[${v.shape.join(",")}]`;
}

function literal(x: Dense): string {
  if (x.shape.length === 0) return String(x.item());
  return x.fill === undefined ? `const${showShape(x.shape)}` : `full(${showShape(x.shape)}, ${x.fill})`;
}

const lastUses = new WeakMap<Program, readonly (readonly Var[])[]>();

/** For each equation the variables that nothing after it reads. */
function deaths(program: Program): readonly (readonly Var[])[] {
  const known = lastUses.get(program);
  if (known) return known;
  const seen = new Set<Atom>(program.outputs);
  const last: Var[][] = [];
  for (let at = program.equations.length - 1; at >= 0; at--) {
    const { ins, outs } = program.equations[at];
    last[at] = [];
    for (const x of [...outs, ...ins]) {
      if (x instanceof Dense || seen.has(x)) continue;
      seen.add(x);
      last[at].push(x);
    }
  }
  lastUses.set(program, last);
  return last;
}

/** Run a program's equations on values: with numbers at once, with tracers as part of what they trace. */
export function evaluate(program: Program, inputs: readonly Tensor[]): readonly Tensor[] {
  const values = new Map<Var, Tensor>();
  program.inputs.forEach((v, i) => {
    values.set(v, inputs[i]);
  });
  const read = (x: Atom): Tensor => (x instanceof Dense ? x : (values.get(x) as Tensor));
  const dead = deaths(program);
  program.equations.forEach(({ prim, params, ins, outs }, at) => {
    const results = bind(prim, ins.map(read), params);
    outs.forEach((v, i) => {
      values.set(v, results[i]);
    });
    for (const v of dead[at]) values.delete(v);
  });
  return program.outputs.map(read);
}
