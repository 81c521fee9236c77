import type { Aval, Data, Tensor } from "@fmmformer/autodiff";
import { Dense } from "@fmmformer/autodiff/extend";
import { givenAway } from "../donation.ts";

// State that stays in the arena between calls.

/** A place for state: of an input that was given away, and of the result that takes its place. */
export interface Slot {
  readonly input: number;
  readonly output: number;
  /** In bytes */
  readonly address: number;
  /** How many results have been there; the last one is there now */
  results: number;
}

/** Results in slots: which, and the how many-th there. */
const residents = new WeakMap<Tensor, { readonly slot: Slot; readonly result: number; readonly owner: object }>();

/** The memory of slots is given back with their owner, which lives as long as a result does. */
export function resident(slot: Slot, aval: Aval, fetch: () => Data, owner: object): Tensor {
  const result = slot.results;
  const x = new Dense(aval, () => {
    if (slot.results === result) return fetch();
    throw givenAway();
  });
  residents.set(x, { slot, result, owner });
  return x;
}

/** Whether the value of an input is in its slot already. */
export function isResident(x: Tensor, slot: Slot): boolean {
  const known = residents.get(x);
  return known?.slot === slot && known.result === slot.results;
}
