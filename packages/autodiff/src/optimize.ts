import type { Primitive } from "./bind.ts";
import { castPrimitive } from "./primitives/cast.ts";
import { div, mul, sub } from "./primitives/elementwise.ts";
import { reshapePrimitive, transposePrimitive } from "./primitives/layout.ts";
import { type Atom, type Equation, Program, type Var, type WithProgram } from "./program.ts";
import { sameShape } from "./shape.ts";
import { Dense } from "./tensor.ts";

/** The same function with less to do: no dead code, nothing computed twice, constants computed, layout changes joined. */
export function optimize(program: Program): Program {
  return removeDeadCode(simplify(program));
}

/** Constants larger than this are not computed ahead: a program should not carry big tables. */
const largestFold = 4096;

function simplify(program: Program): Program {
  const renamed = new Map<Var, Atom>();
  const made = new Map<Var, Equation>();
  const seen = new Map<string, readonly Var[]>();
  const identities = new Map<object, number>();
  const resolve = (x: Atom): Atom => (x instanceof Dense ? x : (renamed.get(x) ?? x));
  const identity = (x: object): string => {
    if (!identities.has(x)) identities.set(x, identities.size);
    return `@${identities.get(x)}`;
  };
  const key = (x: Atom): string => {
    if (!(x instanceof Dense)) return `${x.id}`;
    if (x.fill === undefined && x.size !== 1) return identity(x);
    return `${exact(x.fill ?? x.data[0])}:${x.dtype}[${x.shape.join()}]${x.weak}`;
  };
  const equations: Equation[] = [];
  for (const equation of program.equations) {
    let next: Equation = { ...equation, ins: equation.ins.map(resolve) };
    next = joinLayout(next, made);
    const same = isIdentity(next) ? next.ins[0] : unchanged(next);
    if (same) {
      renamed.set(next.outs[0], same);
      continue;
    }
    const folded = fold(next);
    if (folded) {
      next.outs.forEach((v, i) => {
        renamed.set(v, folded[i]);
      });
      continue;
    }
    const params = parametersKey(next.params);
    const text = params === null ? null : `${identity(next.prim)} ${params} ${next.ins.map(key).join()}`;
    const known = text === null ? undefined : seen.get(text);
    if (known) {
      next.outs.forEach((v, i) => {
        renamed.set(v, known[i]);
      });
      continue;
    }
    if (text !== null) seen.set(text, next.outs);
    next = optimizeInside(next);
    for (const v of next.outs) made.set(v, next);
    equations.push(next);
  }
  return new Program(program.inputs, equations, program.outputs.map(resolve));
}

/** The same for a program among the parameters. */
function optimizeInside(equation: Equation): Equation {
  const params = equation.params as WithProgram | null;
  return params?.program instanceof Program
    ? { ...equation, params: { ...params, program: optimize(params.program) } }
    : equation;
}

/** A text that equal parameters share; null where they hold programs or functions: such equations stay apart. */
function parametersKey(params: unknown): string | null {
  let plain = true;
  const text = JSON.stringify(params, (_, x: unknown) => {
    if (typeof x === "number") return exact(x);
    if (typeof x !== "function" && !(x instanceof Program)) return x;
    plain = false;
    return null;
  });
  return plain ? text : null;
}

/** A number as a text that no other has; JSON has no ∞, no NaN and no −0. */
function exact(x: number): string {
  return Object.is(x, -0) ? "-0" : `${x}`;
}

function fold({ prim, params, ins, outs }: Equation): readonly Dense[] | null {
  if (!ins.every((x) => x instanceof Dense) || outs.some((v) => v.shape.reduce((a, b) => a * b, 1) > largestFold))
    return null;
  return prim.value(ins as readonly Dense[], params, outs);
}

function is<P>(equation: Equation | undefined, prim: Primitive<P>): equation is Equation & { readonly params: P } {
  return equation?.prim === prim;
}

/** A transpose of a transpose is one transpose, a reshape of a reshape one reshape. */
function joinLayout(equation: Equation, made: ReadonlyMap<Var, Equation>): Equation {
  const [x] = equation.ins;
  const before = x && !(x instanceof Dense) ? made.get(x) : undefined;
  if (is(equation, transposePrimitive) && is(before, transposePrimitive)) {
    const { axes } = before.params as { axes: readonly number[] };
    const outer = equation.params as { axes: readonly number[] };
    return { ...equation, ins: before.ins, params: { axes: outer.axes.map((axis) => axes[axis]) } };
  }
  if (is(equation, reshapePrimitive) && is(before, reshapePrimitive)) return { ...equation, ins: before.ins };
  return equation;
}

function isIdentity(equation: Equation): boolean {
  const [x] = equation.ins;
  const [y] = equation.outs;
  if (is(equation, transposePrimitive))
    return (equation.params as { axes: readonly number[] }).axes.every((axis, i) => axis === i);
  if (is(equation, reshapePrimitive)) return sameShape(x.shape, y.shape);
  if (is(equation, castPrimitive)) return x.dtype === y.dtype && x.weak === y.weak;
  return false;
}

/** The operand that an exact identity leaves as it is: x·1, 1·x, x/1, x − 0. */
function unchanged({ prim, ins, outs }: Equation): Atom | null {
  const keeps = (x: Atom): boolean => sameShape(x.shape, outs[0].shape) && x.dtype === outs[0].dtype;
  const filled = (x: Atom, value: number): boolean => x instanceof Dense && Object.is(x.fill, value);
  const [x, y] = ins;
  if (prim === mul.primitive && filled(x, 1) && keeps(y)) return y;
  const neutral = prim === mul.primitive || prim === div.primitive ? 1 : prim === sub.primitive ? 0 : null;
  return neutral !== null && filled(y, neutral) && keeps(x) ? x : null;
}

/** Leave out equations that no output depends on. */
export function removeDeadCode(program: Program): Program {
  const live = new Set<Atom>(program.outputs);
  const equations: Equation[] = [];
  for (let at = program.equations.length - 1; at >= 0; at--) {
    const equation = program.equations[at];
    if (!equation.outs.some((v) => live.has(v))) continue;
    for (const x of equation.ins) live.add(x);
    equations.push(equation);
  }
  return new Program(program.inputs, equations.reverse(), program.outputs);
}
