import { Program } from "@fmmformer/autodiff";
import {
  type CallParams,
  callPrimitive,
  type Equation,
  inlineCalls,
  type ScanParams,
  scanPrimitive,
  type Var,
} from "@fmmformer/autodiff/extend";
import type { Builder } from "./builder.ts";
import { fusedOps } from "./fused.ts";
import type { FusedOp } from "./ops/operands.ts";
import { rules } from "./rules.ts";
import { usesOf } from "./uses.ts";

/** Turn the equations of a program whose inputs are defined into steps. Calls that the engine has no kernels for are written out first. */
export function lower(program: Program, builder: Builder): void {
  const uses = usesOf(program);
  for (const equation of program.equations) {
    if (builder.done.has(equation)) continue;
    const op = fusedOpOf(equation);
    if (equation.outs.every(isEmpty)) for (const y of equation.outs) builder.define(y, builder.create(y));
    else if (op) op.lower(builder, equation as Call, uses);
    else rules[equation.prim.name](builder, equation, uses);
  }
}

function isEmpty({ shape }: Var): boolean {
  return shape.includes(0);
}

/** The same program without calls that have no kernels, in the bodies of loops too. */
export function inlined(program: Program): Program {
  const { inputs, equations, outputs } = inlineCalls(program, (call) => fusedOpOf(call) !== null);
  return new Program(inputs, equations.map(withBodyInlined), outputs);
}

function withBodyInlined(equation: Equation): Equation {
  if (equation.prim !== (scanPrimitive as Equation["prim"])) return equation;
  const params = equation.params as ScanParams;
  return { ...equation, params: { ...params, program: inlined(params.program) } };
}

type Call = Equation & { readonly params: CallParams };

function fusedOpOf(equation: Equation): FusedOp | null {
  if (equation.prim !== (callPrimitive as Equation["prim"])) return null;
  const call = equation as Call;
  const op = fusedOps[call.params.callee.name];
  return op?.takes(call) ? op : null;
}
