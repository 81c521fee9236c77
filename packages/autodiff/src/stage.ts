import { type Primitive, Trace, Tracer } from "./bind.ts";
import type { Data } from "./dtype.ts";
import { AbstractValueError, showShape } from "./errors.ts";
import { type Atom, type Equation, Program, type Var } from "./program.ts";
import { type Aval, asTensor, type Dense, own, type Tensor } from "./tensor.ts";
import { flatten, type Structure, unflatten } from "./tree.ts";

// Staging: run a function once on values that have only shapes, and write down what it does.

class StageTracer extends Tracer {
  readonly trace: Stage;
  readonly variable: Var;

  constructor(trace: Stage, variable: Var) {
    super();
    this.trace = trace;
    this.variable = variable;
  }

  get shape(): readonly number[] {
    return this.variable.shape;
  }
  get dtype(): Tensor["dtype"] {
    return this.variable.dtype;
  }
  get weak(): boolean {
    return this.variable.weak;
  }
  get data(): Data {
    throw new AbstractValueError(
      `${this.trace.name}: expected ops on a traced value of shape ${showShape(this.shape)}, got a read of its numbers; ` +
        "choose with where(…), loop with scan(…), or read it outside the traced function",
    );
  }
}

class Stage extends Trace {
  readonly name: string;
  readonly equations: Equation[] = [];
  /** Values of enclosing transformations that the function closes over: they become inputs in front. */
  readonly captured = new Map<Tracer, Var>();
  #variables = 0;

  constructor(name: string) {
    super();
    this.name = name;
  }

  variable({ shape, dtype, weak }: Aval): Var {
    return { id: this.#variables++, shape, dtype, weak };
  }

  process<P>(prim: Primitive<P>, args: readonly Tensor[], params: P): readonly Tensor[] {
    const outs = prim.shape(args, params).map((aval) => this.variable(aval));
    this.equations.push({ prim: prim as Primitive, params, ins: args.map((x) => this.atom(x)), outs });
    return outs.map((v) => new StageTracer(this, v));
  }

  atom(x: Tensor): Atom {
    if (x instanceof StageTracer && x.trace === this) return x.variable;
    if (!(x instanceof Tracer)) return own(this.name, x) as Dense;
    const known = this.captured.get(x) ?? this.variable(x);
    this.captured.set(x, known);
    return known;
  }
}

/** A program, and the values of enclosing transformations to pass in front of its own inputs. */
export interface Staged {
  readonly program: Program;
  readonly captured: readonly Tensor[];
}

/** Write down a function of a list of values as a program; `op` is what errors name. */
export function stage(op: string, f: (inputs: readonly Tensor[]) => readonly Tensor[], avals: readonly Aval[]): Staged {
  const trace = new Stage(op);
  const inputs = avals.map((aval) => trace.variable(aval));
  try {
    const outputs = f(inputs.map((v) => new StageTracer(trace, v))).map((y) => trace.atom(y));
    const captured = [...trace.captured];
    const program = new Program([...captured.map(([, v]) => v), ...inputs], trace.equations, outputs);
    return { program, captured: captured.map(([x]) => x) };
  } finally {
    trace.live = false;
  }
}

/** What staging a function of trees gives: the program over leaves, and the form of the result. */
export interface StagedTree extends Staged {
  readonly result: Structure;
}

/** Write down a function of trees as a program over their leaves. */
export function stageTree(
  op: string,
  f: (...args: never) => unknown,
  structure: Structure,
  avals: readonly Aval[],
): StagedTree {
  let result: Structure | undefined;
  const staged = stage(
    op,
    (inputs) => {
      const y = flatten(f(...(unflatten(structure, inputs) as never)));
      result = y.structure;
      return y.leaves.map((leaf) => asTensor(op, leaf));
    },
    avals,
  );
  return { ...staged, result: result as Structure };
}
