import { FmmformerError, type Program } from "@fmmformer/autodiff";
import { sizeOf } from "@fmmformer/autodiff/extend";

// Inputs that are given away to an engine, and the results that take their place there.

/** A tensor is read whose memory holds something newer, or that lies on a device. */
export class DonatedError extends FmmformerError {}

/** What is said of a value that was given away. */
export function givenAway(): DonatedError {
  return new DonatedError(
    "tensor: expected a value that was not given away, got one that jit took over (donate); read it before the next call",
  );
}

/** For each input that is given away a result of its shape and dtype, the first that no other has. */
export function pair(program: Program, donated: readonly number[]): [input: number, output: number][] {
  const free = new Set(program.outputs.keys());
  return donated.flatMap((input): [number, number][] => {
    const { shape, dtype } = program.inputs[input];
    for (const output of free) {
      const y = program.outputs[output];
      if (y.dtype !== dtype || y.shape.join() !== shape.join() || sizeOf(shape) === 0) continue;
      free.delete(output);
      return [[input, output]];
    }
    return [];
  });
}
