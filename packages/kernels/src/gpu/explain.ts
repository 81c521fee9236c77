import type { Program } from "@fmmformer/autodiff";
import type { HostNumber, Stored } from "./code.ts";
import { compile } from "./engine.ts";
import type { Plan } from "./lower.ts";

/** A kernel of a program. */
export interface ExplainedKernel {
  /** Of whom an error of it speaks */
  readonly name: string;
  /** How many elements it computes, each by a thread of its own */
  readonly size: number;
  /**
   * What its arguments are, in order: `input 2` of the program, the result of `kernel 0`, a `constant`; `sent` are arrays and numbers that
   * the host computes before a run
   */
  readonly reads: readonly string[];
  /** The function that gpu.js compiles */
  readonly source: string;
}

/**
 * The kernels that the gpu engine makes of a program, in the order in which they run.
 *
 * @param program - from `trace(f)(…args)`
 * @throws RangeError, DTypeError where the engine cannot run it
 */
export function explainKernels(program: Program): readonly ExplainedKernel[] {
  const compiled = compile(program, []);
  const { steps, sent, constants } = compiled.plan;
  const origins = originsOf({ steps, sent, constants });
  return steps.map(({ name, source, inputs, output }) => ({
    ...{ name, size: output.size, source },
    reads: inputs.map((x) => origins.get(x) ?? "sent"),
  }));
}

function originsOf({
  steps,
  sent,
  constants,
}: Pick<Plan, "steps" | "sent" | "constants">): ReadonlyMap<Stored | HostNumber, string> {
  const origins = new Map<Stored | HostNumber, string>();
  for (const { input, stored } of sent) if (input >= 0) origins.set(stored, `input ${input}`);
  for (const { stored } of constants) origins.set(stored, "constant");
  for (const [i, { output }] of steps.entries()) origins.set(output, `kernel ${i}`);
  return origins;
}
