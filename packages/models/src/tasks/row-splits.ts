import type { Rows } from "../data/row-file.ts";
import { epochOrder } from "./epoch-order.ts";
import { stream } from "./stream.ts";
import type { Split } from "./task.ts";

/** Which rows each split has. */
export type Places = Readonly<Record<Split, Int32Array>>;

/** Rows by split and index. */
export interface RowSplits {
  readonly examples: Readonly<Record<Split, number>>;
  /**
   * Read the row of an example. Those for training come in a new order every epoch; the others in one that is drawn once for all seeds, since
   * files may lie class by class: the first of a split are a sample of it.
   */
  read(split: Split, index: number): Uint8Array;
}

export function rowSplits(rows: Rows<unknown>, places: Places, seed: number): RowSplits {
  const { train, validation, test } = places;
  const inOrder = epochOrder(seed, train);
  const drawn = { validation: mixed(validation), test: mixed(test) };
  return {
    examples: { train: train.length, validation: validation.length, test: test.length },
    read: (split, index) => rows.read(split === "train" ? inOrder(index) : drawn[split][index]),
  };
}

/** The places from `from` to `to`, without it. */
export function placesBetween(from: number, to: number): Int32Array {
  return Int32Array.from({ length: Math.max(0, to - from) }, (_, at) => from + at);
}

/** Keep a share of some places apart, drawn once for all seeds: at least one where the share is not 0. */
export function holdOut(places: Int32Array, share: number): readonly [rest: Int32Array, held: Int32Array] {
  const drawn = mixed(places);
  const held = share === 0 ? 0 : Math.max(1, Math.round(share * places.length));
  return [drawn.slice(held).sort(), drawn.slice(0, held).sort()];
}

function mixed(places: Int32Array): Int32Array {
  return stream(0, "all", 0).shuffle(Int32Array.from(places));
}
