import { type CallParams, callPrimitive, type Equation } from "@fmmformer/autodiff/extend";
import type { Rule } from "./rules.ts";

/** The composed ops with kernels of their own, by the names of their calls; others are written out. */
const fusedOps: Readonly<Record<string, Rule>> = {};

/** The rule of a call, where there is one. */
export function fusedOpOf(equation: Equation): Rule | null {
  if (equation.prim !== (callPrimitive as Equation["prim"])) return null;
  return fusedOps[(equation.params as CallParams).callee.name] ?? null;
}
