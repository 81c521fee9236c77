import { sizeOf } from "@fmmformer/autodiff/extend";
import { type Chain, pruned } from "./chain.ts";
import { type Buffer, flatten, type Loop, type Step } from "./plan.ts";
import { isContiguous, type View } from "./view.ts";

/** A row-major result, and the whole slot it is to take. */
export interface Settling {
  readonly view: View;
  readonly slot: View;
}

/**
 * Let results be computed where they are to stay rather than copied there: the storage of a result becomes that of its slot where the value
 * that the slot held is read no more by then. A chain may read it while it writes the result, element by element.
 *
 * @param results - made by these steps
 * @returns those that lie in their slots now
 */
export function settle<R extends Settling>(
  steps: readonly (Step | Loop | Chain)[],
  results: readonly R[],
): readonly R[] {
  const lives = new Map<Buffer, { readonly from: number; to: number }>();
  steps.forEach((step, at) => {
    for (const buffer of buffersOf(step)) {
      const life = lives.get(buffer);
      if (life) life.to = at;
      else lives.set(buffer, { from: at, to: at });
    }
  });
  return results.filter(({ view, slot }) => {
    const [made, held] = [view.source as Buffer, slot.source as Buffer];
    const life = lives.get(made);
    if (made.address !== undefined || made.bytes !== held.bytes || !life) return false;
    const lastRead = lives.get(held)?.to ?? -1;
    const step = steps[life.from];
    const inPlace = lastRead === life.from && "instructions" in step && writesWhereItReads(step, made, held);
    if (lastRead >= life.from && !inPlace) return false;
    made.address = held.address as number;
    return true;
  });
}

/** Whether a chain makes each element of one buffer when it has the same element of another. */
function writesWhereItReads(chain: Chain, made: Buffer, held: Buffer): boolean {
  const alike = (x: View): boolean => x.offset === 0 && sizeOf(x.shape) === chain.size && isContiguous(x);
  return (
    chain.nodes.some(({ stored }) => stored?.source === made && alike(stored)) &&
    pruned(chain).reads.every((x) => x.source !== held || alike(x))
  );
}

function buffersOf(step: Step | Loop | Chain): Buffer[] {
  if (!("instructions" in step)) {
    const words = flatten([step]).steps.flatMap((inner) => inner.words);
    return words.flatMap((word) => (typeof word === "object" ? [word.buffer] : []));
  }
  const views = [
    ...pruned(step).reads,
    ...step.nodes.map(({ stored }) => stored),
    ...step.reductions.map(({ out }) => out),
  ];
  return views.flatMap((x) => (x && typeof x.source !== "number" ? [x.source] : []));
}
