import {
  add,
  cast,
  clip,
  concat,
  div,
  equal,
  greater,
  greaterEqual,
  iota,
  less,
  logicalAnd,
  logSoftmax,
  matmul,
  mul,
  ones,
  reshape,
  ShapeError,
  showShape,
  slice,
  sub,
  sum,
  type Tensor,
  take,
  tensor,
  transpose,
  where,
  zeros,
} from "@fmmformer/autodiff";
import { linearCrossEntropy } from "@fmmformer/kernels";
import type { Scores } from "../model.ts";
import type { Batch } from "../tasks/task.ts";
import { drawNormal } from "./initial.ts";

export interface AdaptiveSoftmaxOptions {
  /** c, the width of what is classified */
  readonly width: number;
  /** V, how many classes there are, the most frequent first */
  readonly classes: number;
  /** Where a cluster of rarer classes begins, ascending: [20000, 40000, 200000] makes a head of 20,000 classes and three tails */
  readonly cutoffs: readonly number[];
}

/** What stands for the tails in the head: a class each. */
export interface ClusterParams {
  /** (tails, c) */
  readonly weight: Tensor;
  /** (tails) */
  readonly bias: Tensor;
}

export interface AdaptiveSoftmaxParams {
  /** (V, c) a row for each class; the table of an embedding where it is tied */
  readonly table: Tensor;
  /** (V) */
  readonly bias: Tensor;
  readonly clusters: ClusterParams;
}

/** Some rows: those of the tokens that are scored, or those of the head whose label lies in a tail. */
export interface ScoredRows {
  /** int32 (s) which ones; what fills up to s is row 0 */
  readonly at: Tensor;
  /** float32 (s) how much each counts; 0 for what fills up */
  readonly weights: Tensor;
}

/** A batch with what was found out about it outside of a compiled step: which tokens are scored, and which of those in each tail. */
export interface SortedBatch extends Batch {
  readonly scored: readonly ScoredRows[];
}

export interface AdaptiveSoftmax {
  /** Draw what stands for the tails; table and bias come from elsewhere. */
  init(key: Tensor): ClusterParams;
  /** The logarithms of the probabilities of all classes, (…, V) for x (…, c), in O(V·c) time and O(V) memory for each row. */
  apply(params: AdaptiveSoftmaxParams, x: Tensor): Tensor;
  /**
   * The loss of a batch whose tokens became x (…b, n, c), and the share of labels that it named: the likeliest class of the head, or, where
   * that stands for a tail, the likeliest class of the tail.
   *
   * A row goes through the head and through the tail of its label alone where the batch is sorted, else through the head and all tails. Either
   * way no logits are kept: O(rows · 1024) memory.
   */
  score(params: AdaptiveSoftmaxParams, x: Tensor, batch: Batch | SortedBatch): Scores;
  /**
   * Find out which rows go where. How many is part of the form of the batch, and so of a compiled program: it is rounded up to all rows, a
   * quarter of them, a quarter of that, and so on, so that few programs serve all batches.
   */
  sort(batch: Batch): SortedBatch;
}

/**
 * A softmax over many classes in two steps: a head of the most frequent classes and one more for each cluster of rarer ones, and a tail over
 * each cluster:
 *
 *     p(v | x) = head(v | x)                                          v < cutoffs[0]
 *     p(v | x) = head(cluster of v | x) · tail(v | x, its cluster)     else
 *
 * It is exact: probabilities add up to 1. A tail costs what it holds only for the few tokens whose label lies in it. All classes have the
 * width of x (the released `div_val` is 1), so that there are no projections, and the embedding that goes with it is an ordinary one.
 *
 * @throws RangeError when cutoffs do not ascend from 1 to below the number of classes, ShapeError when params are of other sizes
 * @see Grave, Joulin, Cissé, Grangier, Jégou (2017), Efficient softmax approximation for GPUs, https://arxiv.org/abs/1609.04309
 */
export function adaptiveSoftmax({ width, classes, cutoffs }: AdaptiveSoftmaxOptions): AdaptiveSoftmax {
  const bounds = [0, ...cutoffs, classes];
  if (
    cutoffs.length === 0 ||
    bounds.some((bound, i) => !Number.isInteger(bound) || (i > 0 && bound <= bounds[i - 1]))
  ) {
    throw new RangeError(
      `adaptiveSoftmax: expected cutoffs that ascend from 1 to below classes=${classes}, got [${cutoffs.join(", ")}]`,
    );
  }
  const [short] = cutoffs;
  const tails = cutoffs.map((from, i) => ({ from, size: bounds[i + 2] - from, place: short + i }));

  function check({ table, bias, clusters }: AdaptiveSoftmaxParams, x: Tensor): void {
    const expected = { table: [classes, width], bias: [classes], weight: [tails.length, width] };
    for (const [name, { shape }] of Object.entries({ table, bias, weight: clusters.weight })) {
      const wanted = expected[name as keyof typeof expected];
      if (shape.join() !== wanted.join()) {
        throw new ShapeError(`adaptiveSoftmax: expected ${name} ${showShape(wanted)}, got ${showShape(shape)}`);
      }
    }
    if (x.shape[x.shape.length - 1] !== width) {
      throw new ShapeError(`adaptiveSoftmax: expected x (…, c=${width}), got ${showShape(x.shape)}`);
    }
  }

  const headOf = ({ table, bias, clusters }: AdaptiveSoftmaxParams) => ({
    weight: concat([slice(table, [0], [short]), clusters.weight]), // (short + tails, c)
    bias: concat([slice(bias, [0], [short]), clusters.bias]),
  });
  const tailOf = ({ table, bias }: AdaptiveSoftmaxParams, { from, size }: (typeof tails)[number]) => ({
    weight: slice(table, [from], [from + size]), // (size, c)
    bias: slice(bias, [from], [from + size]),
  });
  const within = (labels: Tensor, { from, size }: (typeof tails)[number]): Tensor =>
    logicalAnd(greaterEqual(labels, from), less(labels, from + size));

  return {
    init: (key) => ({
      weight: drawNormal(key, [tails.length, width]),
      bias: zeros([tails.length]),
    }),

    apply(params, x) {
      check(params, x);
      const logProbabilities = ({ weight, bias }: ClusterParams): Tensor =>
        logSoftmax(add(matmul(x, transpose(weight)), bias));
      const head = logProbabilities(headOf(params)); // (…, short + tails)
      const columns = (from: number, to: number): Tensor => {
        const lead = x.shape.slice(0, -1);
        return slice(head, [...lead.map(() => 0), from], [...lead, to]);
      };
      const parts = tails.map((tail) =>
        add(columns(tail.place, tail.place + 1), logProbabilities(tailOf(params, tail))),
      ); // (…, size) each
      return concat([columns(0, short), ...parts], { axis: -1 }); // (…, V)
    },

    score(params, x, batch) {
      check(params, x);
      const t = batch.labels.size;
      const all = {
        x: reshape(x, [t, width]),
        labels: take(iota(classes), reshape(batch.labels, [t])), // a label that is no class throws here
      };
      const given = batch.weights ? reshape(batch.weights, [t]) : ones([t]);
      const scored = "scored" in batch ? batch.scored : null;
      const rows = scored ? { x: take(all.x, scored[0].at), labels: take(all.labels, scored[0].at) } : all;
      const weights = scored ? scored[0].weights : given; // (s)
      const total = sum(given);

      const { weight, bias } = headOf(params);
      const places = tails.reduce((label, tail) => where(within(rows.labels, tail), tail.place, label), rows.labels);
      const head = linearCrossEntropy(rows.x, weight, bias, places); // (s)
      const losses = [counted(head.losses, weights)];
      const right = [counted(logicalAnd(equal(head.named, rows.labels), less(rows.labels, short)), weights)];
      for (const [i, tail] of tails.entries()) {
        const few = scored?.[i + 1];
        const [rowsHere, labels, named] = few
          ? [take(rows.x, few.at), take(rows.labels, few.at), take(head.named, few.at)]
          : [rows.x, rows.labels, head.named];
        const here = few ? few.weights : where(within(labels, tail), weights, 0);
        const label = clip(sub(labels, tail.from), 0, tail.size - 1); // those of other clusters count nothing
        const own = tailOf(params, tail);
        const found = linearCrossEntropy(rowsHere, own.weight, own.bias, label);
        losses.push(counted(found.losses, here));
        right.push(counted(logicalAnd(equal(named, tail.place), equal(found.named, label)), here));
      }
      const share = (terms: readonly Tensor[]): Tensor =>
        div(
          terms.reduce((a, b) => add(a, b)),
          where(greater(total, 0), total, 1),
        );
      return { loss: share(losses), accuracy: share(right) };
    },

    sort(batch) {
      const labels = batch.labels.data;
      const weights = batch.weights?.data ?? new Float32Array(labels.length).fill(1);
      const all = Array.from(labels, (_, i) => i).filter((i) => weights[i] > 0);
      const rowsOf = (at: readonly number[], of: number, weightAt: (i: number) => number): ScoredRows => {
        const room = roundedUp(at.length, of);
        const filled = <T extends Int32Array | Float32Array>(array: T, values: readonly number[]): T => {
          array.set(values);
          return array;
        };
        return {
          at: tensor(filled(new Int32Array(room), at)),
          weights: tensor(filled(new Float32Array(room), at.map(weightAt))),
        };
      };
      const head = rowsOf(all, labels.length, (i) => weights[i]);
      const ofTails = tails.map(({ from, size }) => {
        const inside = all.flatMap((i, row) => (labels[i] >= from && labels[i] < from + size ? [row] : []));
        return rowsOf(inside, head.at.size, (row) => weights[all[row]]);
      });
      return { ...batch, scored: [head, ...ofTails] };
    },
  };
}

/** How much rows come to, by weight; a row of weight 0 counts nothing, whatever it holds. */
function counted(x: Tensor, weights: Tensor): Tensor {
  const values = x.dtype === "bool" ? cast(x, weights.dtype) : x;
  return sum(where(greater(weights, 0), mul(values, weights), 0));
}

/** The least of `most`, a quarter of it, a quarter of that, … that has room for so many. */
function roundedUp(count: number, most: number): number {
  let room = most;
  while (Math.ceil(room / 4) >= count && room > 1) room = Math.ceil(room / 4);
  return room;
}
