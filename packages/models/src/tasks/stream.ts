import type { Split } from "./task.ts";

/** Random numbers that belong to one example. */
export interface Stream {
  /** A whole number, uniform on 0 … n − 1 (to n / 2³², n ≤ 2³²). */
  below(n: number): number;
  /** Put items in random order, in place. */
  shuffle<Items extends number[] | Int32Array>(items: Items): Items;
}

const lanes: Record<Split | "all", number> = { train: 0, test: 1, all: 2, validation: 3 };

/**
 * Open the random numbers of one example:
 *
 *     sfc32 with the words (seed, lane of the split, index) and the counter 1, the first 15 outputs dropped
 *
 * Each triple is another state and none is reached by way of another's index, so that example i is made without example
 * i − 1. The generator is integer arithmetic alone: the same numbers on every machine.
 *
 * @param seed - in 0 … 2³² − 1
 * @param split - whose lane to draw from; `all` where a task draws first and splits afterwards
 * @param index - in 0 … 2³² − 1
 * @see Doty-Humphrey (2018), PractRand 0.94, sfc32, https://pracrand.sourceforge.net
 */
export function stream(seed: number, split: Split | "all", index: number): Stream {
  let a = seed | 0;
  let b = lanes[split];
  let c = index | 0;
  let counter = 1;

  function word(): number {
    const out = (a + b + counter) | 0;
    counter = (counter + 1) | 0;
    a = b ^ (b >>> 9);
    b = (c + (c << 3)) | 0;
    c = ((c << 21) | (c >>> 11)) + out;
    c |= 0;
    return out;
  }
  for (let round = 0; round < 15; round++) word();

  const below = (n: number) => Math.floor(((word() >>> 0) * n) / 2 ** 32);

  function shuffle<Items extends number[] | Int32Array>(items: Items): Items {
    for (let last = items.length - 1; last > 0; last--) {
      const other = below(last + 1);
      const item = items[last];
      items[last] = items[other];
      items[other] = item;
    }
    return items;
  }

  return { below, shuffle };
}
