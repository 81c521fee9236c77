import type { DType } from "@fmmformer/autodiff";
import { sameShape, sizeOf, stridesOf } from "@fmmformer/autodiff/extend";
import { type Chain, fits, instruct, type Node, newChain, type Reduction } from "./chain.ts";
import type { Buffer, Loop, Step } from "./plan.ts";
import { bytesOf, isContiguous, orderOf, reshaped, transposed, type View, whole } from "./view.ts";

/** A value while a program is lowered: it lies somewhere, or it is inside a chain, seen under a shape of its own. */
export type Value = View | Lazy;

export interface Lazy {
  readonly node: Node;
  readonly shape: readonly number[];
}

/** Where values lie, and which step writes them. */
export interface Storage {
  /** So far, in the order in which they run */
  readonly steps: (Step | Loop | Chain)[];
  /** Storage for a whole new value, row-major, or with its axes in another order, the outermost first. */
  create(like: { readonly shape: readonly number[]; readonly dtype: DType }, order?: readonly number[]): View;
  /** Where a value of a chain would lie, in the order of `axes` of its shape where its chain can write that. */
  plan(x: Lazy, axes?: readonly number[]): View;
  /** Let a value of a chain lie there. */
  store(x: Lazy, axes?: readonly number[]): View;
  /** Where a value lies, whatever its strides. */
  viewOf(x: Value): View;
  /** The step behind which it does; −1 where it always did. */
  readyAt(x: View): number;
  emit(step: Step | Loop, writes: readonly View[]): void;
  /** This view is a result of that chain. */
  written(x: View, by: Chain): void;
  /** Write a value to a place; a chain of its own. */
  copy(from: View, to: View): void;
  /** The same elements row-major; copied where they must be. */
  contiguous(x: View): View;
  /** The value of a chain that was stored as this view, and the same reduction as that chain sees it, where it can. */
  whereMade(
    x: View,
    axes: readonly number[],
  ): { readonly node: Node; readonly reduction: Pick<Reduction, "axes" | "shape"> } | null;
}

export function createStorage(): Storage {
  const steps: (Step | Loop | Chain)[] = [];
  const writtenAt = new Map<Buffer, number>();
  const storedBy = new Map<Buffer, Node>();

  const create: Storage["create"] = ({ shape, dtype }, order = shape.map((_, axis) => axis)) => {
    const inOrder = order.map((axis) => shape[axis]);
    const made = whole({ bytes: sizeOf(shape) * bytesOf[dtype] }, inOrder, dtype);
    return transposed(
      made,
      order.map((_, axis) => order.indexOf(axis)),
    );
  };

  const plan: Storage["plan"] = ({ node, shape }, axes = orderOfReads(node.chain, shape)) => {
    const ordered = axes && create({ shape, dtype: node.dtype }, axes);
    return ordered && fits(node.chain, [ordered]) ? ordered : create({ shape: [sizeOf(shape)], dtype: node.dtype });
  };

  const written: Storage["written"] = ({ source }, { at }) => {
    writtenAt.set(source as Buffer, at);
  };

  const store: Storage["store"] = (x, axes) => {
    const { node, shape } = x;
    if (!node.stored) {
      node.stored = plan(x, axes);
      written(node.stored, node.chain);
      storedBy.set(node.stored.source as Buffer, node);
    }
    return reshaped(node.stored, shape) ?? (reshaped(contiguous(node.stored), shape) as View);
  };

  const copy: Storage["copy"] = (from, to) => {
    if (sizeOf(to.shape) === 0) return;
    const chain = newChain(steps.length, to.shape);
    const node = instruct(chain, bytesOf[to.dtype] === 8 ? "copy_8" : "copy_4", [from], to.dtype);
    node.stored = to;
    written(to, chain);
    steps.push(chain);
  };

  const contiguous: Storage["contiguous"] = (x) => {
    if (isContiguous(x)) return x;
    const to = create(x);
    copy(x, to);
    return to;
  };

  return {
    steps,
    create,
    plan,
    store,
    viewOf: (x) => ("node" in x ? store(x) : x),
    readyAt: ({ source }) => (typeof source === "number" ? -1 : (writtenAt.get(source) ?? -1)),
    emit(step, writes) {
      for (const { source } of writes) if (typeof source !== "number") writtenAt.set(source, steps.length);
      steps.push(step);
    },
    written,
    copy,
    contiguous,
    whereMade(x, axes) {
      const node = typeof x.source === "number" ? undefined : storedBy.get(x.source);
      const { shape, strides } = node?.stored ?? x;
      if (!node || !isContiguous(x) || sizeOf(shape) !== sizeOf(x.shape)) return null;
      const own = stridesOf(x.shape);
      const reduced = shape.map((n, axis) => {
        const at = own.findIndex((s, a) => s <= strides[axis] && strides[axis] * n <= s * x.shape[a]);
        return at < 0 ? null : axes.includes(at);
      });
      // Results are in the order in which their elements lie; the chain has them in that of its axes.
      const kept = strides.filter((_, axis) => reduced[axis] === false && shape[axis] > 1);
      if (reduced.includes(null) || kept.some((s, i) => i > 0 && s > kept[i - 1])) return null;
      return { node, reduction: { shape, axes: shape.flatMap((_, axis) => (reduced[axis] ? [axis] : [])) } };
    },
  };
}

/** The order in which all that a chain reads lies, but for what is broadcast; none where they differ. */
function orderOfReads({ reads, size }: Chain, shape: readonly number[]): readonly number[] | undefined {
  let common: readonly number[] | undefined;
  for (const read of reads) {
    if (typeof read.source === "number" || read.strides.some((s, axis) => s === 0 && read.shape[axis] > 1)) continue;
    const seen = sizeOf(read.shape) === size ? reshaped(read, shape) : null;
    const order = seen && orderOf(seen);
    if (!order || (common && !sameShape(order, common))) return undefined;
    common = order;
  }
  return common;
}
