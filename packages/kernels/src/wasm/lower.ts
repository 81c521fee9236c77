import { Program } from "@fmmformer/autodiff";
import { type Equation, inlineCalls, type ScanParams, scanPrimitive, type Var } from "@fmmformer/autodiff/extend";
import type { Call } from "../composed-call.ts";
import { byName, checkPrimitives } from "../known-names.ts";
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
  checkPrimitives("wasm", equations);
  return new Program(inputs, equations.map(withBodyInlined), outputs);
}

function withBodyInlined(equation: Equation): Equation {
  if (equation.prim !== (scanPrimitive as Equation["prim"])) return equation;
  const params = equation.params as ScanParams;
  return { ...equation, params: { ...params, program: inlined(params.program) } };
}

function fusedOpOf(equation: Equation): FusedOp | null {
  const op = byName(fusedOps, equation);
  return op?.takes(equation as Call) ? op : null;
}
