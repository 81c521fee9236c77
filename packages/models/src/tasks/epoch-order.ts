import { stream } from "./stream.ts";

/**
 * Put the training examples in another order every epoch, as a function of seed and epoch alone.
 *
 * @param places - where each example is
 * @param lane - "train" unless told; "all" where examples draw from the lane of their split
 * @returns from an index without end to a place; epoch e is the indices from e · places.length on
 */
export function epochOrder(
  seed: number,
  places: ArrayLike<number>,
  lane: "train" | "all" = "train",
): (index: number) => number {
  let order: { epoch: number; places: Int32Array } | undefined;
  return (index) => {
    const epoch = Math.floor(index / places.length);
    if (order?.epoch !== epoch) order = { epoch, places: stream(seed, lane, epoch).shuffle(Int32Array.from(places)) };
    return order.places[index % places.length];
  };
}
