import { FmmformerError } from "@fmmformer/autodiff";
import { callPrimitive, type Equation, primitives, scanPrimitive } from "@fmmformer/autodiff/extend";
import { bandDotPrimitive, bandMatmulPrimitive, bandTransposePrimitive } from "./band.ts";
import { causalProductPrimitive } from "./causal-product.ts";
import type { Call } from "./composed-call.ts";

// Engines find their kernels by name; these see to it that the name means what the engine knows by it.

/** What an engine has under the name of a composed op; null for other equations, and for an op that only happens to have that name. */
export function byName<Kernel>(kernels: { readonly [name: string]: Kernel }, equation: Equation): Kernel | null {
  if (equation.prim !== (callPrimitive as Equation["prim"])) return null;
  const { name, kernel = false } = (equation as Call).params.callee;
  return kernel && Object.hasOwn(kernels, name) ? kernels[name] : null;
}

const known = new Set<unknown>([
  ...primitives,
  callPrimitive,
  scanPrimitive,
  bandDotPrimitive,
  bandMatmulPrimitive,
  bandTransposePrimitive,
  causalProductPrimitive,
]);

/** @throws FmmformerError for a primitive that is neither one of autodiff's nor of this package */
export function checkPrimitives(engine: string, equations: readonly Equation[]): void {
  const other = equations.find(({ prim }) => !known.has(prim));
  if (!other) return;
  throw new FmmformerError(
    `${engine}: expected primitives of this library, got ${other.prim.name}, for which there is no kernel; ` +
      "run it without an engine, or write it with ops",
  );
}
