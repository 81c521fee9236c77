import { type Program, stack, type Tensor, take, trace } from "@fmmformer/autodiff";
import {
  type Atom,
  bind,
  Dense,
  type Equation,
  inlineCalls,
  type ScanParams,
  scanPrimitive,
  type Var,
} from "@fmmformer/autodiff/extend";

/** Loops become as many copies of their bodies: more would be thousands of kernels. */
const mostRounds = 64;

/** A program without loops and without calls that have no kernels. */
export function flat(program: Program, hasKernel: (call: Equation) => boolean): Program {
  const found = inlineCalls(program, hasKernel);
  if (!found.equations.some(isScan)) return found;
  const inputs = found.inputs.map((v) => new Dense(v, 0));
  const unrolled = trace((...xs: readonly Tensor[]) => run(found, xs))(...inputs);
  return flat(unrolled, hasKernel);
}

function isScan(equation: Equation): boolean {
  return equation.prim === (scanPrimitive as Equation["prim"]);
}

/** Run a program on tracers, its loops round by round. */
function run(program: Program, inputs: readonly Tensor[]): readonly Tensor[] {
  const values = new Map<Var, Tensor>();
  for (const [i, v] of program.inputs.entries()) values.set(v, inputs[i]);
  const read = (x: Atom): Tensor => (x instanceof Dense ? x : (values.get(x) as Tensor));
  for (const equation of program.equations) {
    const ins = equation.ins.map(read);
    const outs = isScan(equation) ? rounds(equation, ins) : bind(equation.prim, ins, equation.params);
    for (const [i, v] of equation.outs.entries()) values.set(v, outs[i]);
  }
  return program.outputs.map(read);
}

function rounds({ params, outs }: Equation, ins: readonly Tensor[]): readonly Tensor[] {
  const { program, constants, carries, length, reverse, save } = params as ScanParams;
  if (length > mostRounds) {
    throw new RangeError(
      `gpu: expected loops of at most ${mostRounds} rounds, got ${length}; use the wasm engine, or larger chunks`,
    );
  }
  const fixed = ins.slice(0, constants);
  let state = ins.slice(constants, constants + carries);
  const steps = ins.slice(constants + carries);
  if (length === 0) return [...state, ...outs.slice(carries).map((y) => new Dense(y, 0))];
  const rows: (readonly Tensor[])[] = new Array(length);
  for (let k = 0; k < length; k++) {
    const t = reverse ? length - 1 - k : k;
    const results = run(program, [...fixed, ...state, ...steps.map((x) => take(x, t))]);
    rows[t] = save ? [...results.slice(carries), ...state] : results.slice(carries);
    state = results.slice(0, carries);
  }
  return [...state, ...rows[0].map((_, i) => stack(rows.map((row) => row[i])))];
}
