import { type CallParams, callPrimitive } from "./call.ts";
import { removeDeadCode } from "./optimize.ts";
import { type Atom, type Equation, Program, type Var } from "./program.ts";
import { Dense } from "./tensor.ts";

/**
 * The same program with its calls written out, but those that `keep` tells to leave; then without what nothing reads.
 *
 * Nothing is shared between one call's equations and another's: what a checkpoint computes twice stays computed twice.
 */
export function inlineCalls(
  program: Program,
  keep: (call: Equation & { readonly params: CallParams }) => boolean,
): Program {
  let made = 0;
  const equations: Equation[] = [];
  const write = (from: Program, inputs: readonly Atom[]): readonly Atom[] => {
    const renamed = new Map<Var, Atom>();
    from.inputs.forEach((v, i) => {
      renamed.set(v, inputs[i]);
    });
    const read = (x: Atom): Atom => (x instanceof Dense ? x : (renamed.get(x) as Atom));
    for (const equation of from.equations) {
      const ins = equation.ins.map(read);
      const outs = equation.outs.map((v) => ({ ...v, id: made++ }));
      if (isCall(equation) && !keep(equation)) {
        const results = write(equation.params.program, ins);
        equation.outs.forEach((v, i) => {
          renamed.set(v, results[i]);
        });
        continue;
      }
      equations.push({ ...equation, ins, outs });
      equation.outs.forEach((v, i) => {
        renamed.set(v, outs[i]);
      });
    }
    return from.outputs.map(read);
  };
  const inputs = program.inputs.map((v) => ({ ...v, id: made++ }));
  const outputs = write(program, inputs);
  return removeDeadCode(new Program(inputs, equations, outputs));
}

function isCall(equation: Equation): equation is Equation & { readonly params: CallParams } {
  return equation.prim === (callPrimitive as Equation["prim"]);
}
