import { type Aval, type Data, FmmformerError, type Program, type Tensor } from "@fmmformer/autodiff";
import { Dense, sizeOf } from "@fmmformer/autodiff/extend";

// State that stays in the arena between calls: an input that was given away, and the result that takes its place.

/** A tensor is read whose memory holds something newer. */
export class DonatedError extends FmmformerError {}

/** A place for state. */
export interface Slot {
  readonly input: number;
  readonly output: number;
  /** In bytes */
  readonly address: number;
  /** How many results have been there; the last one is there now */
  results: number;
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

/** Results in slots: which, and the how many-th there. */
const residents = new WeakMap<Tensor, { readonly slot: Slot; readonly result: number; readonly owner: object }>();

/** The memory of slots is given back with their owner, which lives as long as a result does. */
export function resident(slot: Slot, aval: Aval, fetch: () => Data, owner: object): Tensor {
  const result = slot.results;
  const x = new Dense(aval, () => {
    if (slot.results === result) return fetch();
    throw new DonatedError(
      "tensor: expected a value that was not given away, got one that jit took over (donate); read it before the next call",
    );
  });
  residents.set(x, { slot, result, owner });
  return x;
}

/** Whether the value of an input is in its slot already. */
export function isResident(x: Tensor, slot: Slot): boolean {
  const known = residents.get(x);
  return known?.slot === slot && known.result === slot.results;
}
