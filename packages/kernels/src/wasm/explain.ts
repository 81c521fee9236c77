import type { Program } from "@fmmformer/autodiff";
import { lowerProgram } from "./lowered.ts";
import { type Buffer, type Loop, place, type Step } from "./plan.ts";
import { costOf } from "./stats.ts";

/**
 * The plan that the engine makes of a program, as text: a line a step, with what it computes, its kernel, FLOP and the bytes it touches, and
 * last how much memory all values need at once.
 *
 * @param program - from `trace(f)(…args)`
 */
export function explain(program: Program): string {
  let kept = 0;
  const keep = ({ byteLength }: ArrayBufferView): Buffer & { readonly address: number } => ({
    bytes: byteLength,
    address: kept++,
  });
  const { steps, inputs, outputs } = lowerProgram(program, { donated: [], keep });
  const buffers = [inputs, outputs].map((views) => views.map(({ source }) => source as Buffer));
  const { bytes } = place(steps, { inputs: buffers[0], outputs: buffers[1] });
  const lines = steps.flatMap((step) => describe(step, ""));
  return [...lines, `arena: ${bytes} bytes`].join("\n");
}

function describe(step: Step | Loop, indent: string): string[] {
  const { flop, bytesMoved } = costOf(step);
  if ("kernel" in step) {
    const kernel = step.label.startsWith(step.kernel) ? "" : ` (${step.kernel})`;
    return [`${indent}${`${step.label}${kernel}`.padEnd(44 - indent.length)} ${flop} flop, ${bytesMoved} bytes`];
  }
  const title = `${indent}${step.rounds} rounds${step.reverse ? ", from the last" : ""}:`;
  return [title, ...step.body.flatMap((inner) => describe(inner, `${indent}  `))];
}
