/** How many elements a tile has: small enough for dozens in the first-level cache, large enough to hide the cost of a call. */
export const tile = 512;

/** In which order a chain goes through its axes, and what its reductions are then: see assembly/chain.ts. */
export interface Arrangement {
  /** Without reductions; of whole rows in a tile; of columns; of all there is of one outer index */
  readonly mode: "map" | "rows" | "columns" | "total";
  /** Axes, the outermost first */
  readonly order: readonly number[];
  readonly outer: number;
  readonly rows: number;
  readonly inner: number;
  /** How many neighbouring columns are one result */
  readonly folded: number;
  /** How many times all outer indices that differ in results are gone through */
  readonly repeated: number;
}

/**
 * Arrange the axes of a chain so that memory is read in its order where that can be.
 *
 * @param walks - how far each operand moves along each axis
 * @param reduced - which axes reductions take; null where there are no reductions
 */
export function arrange(
  sizes: readonly number[],
  walks: readonly (readonly number[])[],
  reduced: readonly boolean[] | null,
): Arrangement {
  const product = (list: readonly number[]): number => list.reduce((n, axis) => n * sizes[axis], 1);
  const axes = sizes.map((_, axis) => axis);
  const size = product(axes);
  const best = bestOrder(sizes, walks);
  if (!reduced) return { mode: "map", order: best, outer: 1, rows: 1, inner: size, folded: 1, repeated: 1 };

  const begin = best.findIndex((axis) => !reduced[axis]);
  const found = best.findIndex((axis, at) => at > begin && reduced[axis]);
  const end = found < 0 ? best.length : found;
  const kept = best.slice(begin, end);
  const inTurn = kept.every((axis, i) => i === 0 || axis > kept[i - 1]);
  if (begin > 0 && inTurn && best.slice(end).every((axis) => reduced[axis])) {
    const inner = product(best.slice(begin));
    const behind = product(best.slice(end));
    // Rows of columns as they lie, of which some are summed in the end: heads of (n, h, d) over n and d.
    if (inner <= tile)
      return { mode: "columns", order: best, outer: 1, rows: size / inner, inner, folded: behind, repeated: 1 };
    // What lies together is summed, and that in the end: heads of (b, h, n, d) over all but h.
    if (behind > tile) {
      const outer = size / behind;
      return { mode: "total", order: best, outer, rows: 1, inner: behind, folded: 1, repeated: outer / product(kept) };
    }
  }

  const length = product(axes.filter((axis) => reduced[axis]));
  const keptFirst = [...axes.filter((axis) => !reduced[axis]), ...axes.filter((axis) => reduced[axis])];
  if (reduced[axes.length - 1]) {
    if (length <= tile)
      return { mode: "rows", order: keptFirst, outer: 1, rows: 1, inner: size, folded: 1, repeated: 1 };
    return { mode: "total", order: keptFirst, outer: size / length, rows: 1, inner: length, folded: 1, repeated: 1 };
  }
  const last = reduced.lastIndexOf(true) + 1; // from here on the axes are kept: columns
  const columns = axes.slice(last);
  const order = [...keptFirst.filter((axis) => axis < last), ...columns];
  const across = product(columns);
  return { mode: "columns", order, outer: size / length / across, rows: length, inner: across, folded: 1, repeated: 1 };
}

/** The order of axes in which most operands lie one behind the other. */
function bestOrder(sizes: readonly number[], walks: readonly (readonly number[])[]): readonly number[] {
  const natural = sizes.map((_, axis) => axis);
  const orders = walks.map((walk) => natural.toSorted((a, b) => walk[b] - walk[a]));
  const dense = (order: readonly number[]): number =>
    walks.filter(
      (walk) => order.toReversed().reduce((next, axis) => (walk[axis] === next ? next * sizes[axis] : -1), 1) > 0,
    ).length;
  return orders.reduce((best, order) => (dense(order) > dense(best) ? order : best), natural);
}
