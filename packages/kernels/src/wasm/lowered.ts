import type { Program } from "@fmmformer/autodiff";
import { type Dense, sizeOf } from "@fmmformer/autodiff/extend";
import { pair } from "../donation.ts";
import { type Builder, createBuilder, type Findings } from "./builder.ts";
import { inlined, lower } from "./lower.ts";
import type { Buffer, Loop, Step } from "./plan.ts";
import type { Slot } from "./slot.ts";
import { bytesOf, type View, whole } from "./view.ts";

/** A program as steps, and where its inputs and outputs are. */
export interface Lowered {
  /** The program whose steps these are: calls without kernels are written out in it */
  readonly program: Program;
  readonly steps: readonly (Step | Loop)[];
  readonly inputs: readonly View[];
  readonly outputs: readonly View[];
  readonly slots: readonly Slot[];
  readonly errors: Findings["errors"];
}

/**
 * Turn a program into steps.
 *
 * @param options.donated - inputs that are given away, by place
 * @param options.keep - gives storage that lasts as long as the plan, filled with a copy of these bytes
 */
export function lowerProgram(
  given: Program,
  options: {
    readonly donated: readonly number[];
    readonly keep: (bytes: ArrayBufferView) => Buffer & { readonly address: number };
  },
): Lowered {
  const program = inlined(given);
  const findings: Findings = { constants: new Map<Dense, Buffer>(), errors: [], keep: options.keep };
  const builder = createBuilder(findings, lower);
  const bytes = (at: number): number => sizeOf(program.inputs[at].shape) * bytesOf[program.inputs[at].dtype];
  const slots = pair(program, options.donated).map(([input, output]): Slot => {
    const { address } = options.keep(new Uint8Array(bytes(input)));
    return { input, output, address, results: 0 };
  });
  const inputs = program.inputs.map((v, i) => {
    const slot = slots.find(({ input }) => input === i);
    const view = slot ? whole({ bytes: bytes(i), address: slot.address }, v.shape, v.dtype) : builder.create(v);
    builder.define(v, view);
    return view;
  });
  lower(program, builder);
  const outputs = storeResults(builder, program, slots, inputs);
  return { program, steps: builder.steps(), inputs, outputs, slots, errors: findings.errors };
}

/** Where results are in the end: row-major somewhere, or in their slot, made there or moved there when all have been computed. */
function storeResults(builder: Builder, program: Program, slots: readonly Slot[], inputs: readonly View[]): View[] {
  const states = new Set(slots.map(({ input }) => inputs[input].source));
  const given = new Set(inputs.map(({ source }) => source));
  const slotOf = (output: number): View | undefined => {
    const slot = slots.find((s) => s.output === output);
    return slot && inputs[slot.input];
  };
  const results = program.outputs.map((y, output) => {
    const view = builder.contiguous(y);
    if (!states.has(view.source) || view.source === slotOf(output)?.source) return view;
    const aside = builder.create(y); // what takes its place may be written first
    builder.copy(view, aside);
    return aside;
  });
  const moving = results.flatMap((view, output) => {
    const slot = slotOf(output);
    return slot && view.source !== slot.source ? [{ view, slot, output }] : [];
  });
  const settled = new Set(builder.settle(moving.filter(({ view }) => !given.has(view.source))));
  for (const result of moving) {
    if (!settled.has(result)) builder.copy(result.view, result.slot);
    results[result.output] = result.slot;
  }
  return results;
}
