import type { DType, Program } from "@fmmformer/autodiff";
import {
  type Atom,
  Dense,
  type Equation,
  sameShape,
  sizeOf,
  stretchedAxes,
  stridesOf,
  type Var,
} from "@fmmformer/autodiff/extend";
import type { ChainFunction } from "./binary/names.ts";
import {
  again,
  type Chain,
  chainSteps,
  cheapRoots,
  fits,
  instruct,
  instructCopy,
  type Node,
  newChain,
  pruned,
  type Reduction,
} from "./chain.ts";
import { joinChains } from "./join-chains.ts";
import type { Buffer, Loop, Place, Step } from "./plan.ts";
import { type Settling, settle } from "./settle.ts";
import { broadcast, bytesOf, filled, isContiguous, orderOf, reshaped, transposed, type View, whole } from "./view.ts";

/** A value while a program is lowered: it lies somewhere, or it is inside a chain, seen under a shape of its own. */
export type Value = View | Lazy;

interface Lazy {
  readonly node: Node;
  readonly shape: readonly number[];
}

/** What the rules of lowering work with. */
export interface Builder {
  /** Where a value lies, whatever its strides. */
  view(x: Atom): View;
  /** Where a value lies row-major; copied there if it must be. */
  contiguous(x: Atom | View): View;
  /** Address words of a view: its first element. */
  address(x: View): Place;
  /** Storage for a whole new value, row-major, or with its axes in another order, the outermost first. */
  create(like: { readonly shape: readonly number[]; readonly dtype: DType }, order?: readonly number[]): View;
  /** Storage for what kernels leave for each other. */
  space(bytes: number): Place;
  define(variable: Var, value: Value): void;
  emit(step: Step | Loop, writes: readonly View[]): void;
  /** One elementwise op, as part of a chain where one can take it. */
  elementwise(apply: ChainFunction, operands: readonly Atom[], out: Var): void;
  /** Write a value to a place; part of a chain of its own. */
  copy(from: View, to: View): void;
  reduce(op: "sum" | "max", x: Atom, axes: readonly number[], out: Var): void;
  /** Add up over whatever broadcasting from the shape of `out` had stretched. */
  sumTo(x: View, out: Var): void;
  transpose(x: Atom, axes: readonly number[], out: Var): void;
  reshape(x: Atom, out: Var): void;
  /** A cell in which a kernel says what is wrong with its input. */
  error(describe: (row: number, rows: number) => Error): Place;
  /** A bool as int32, where a kernel reads numbers; anything else as it is. */
  widened(x: Atom): View;
  /** Let row-major results lie in their slots where nothing speaks against it; those that do. */
  settle<R extends Settling>(results: readonly R[]): readonly R[];
  /** Lower the equations of a program whose inputs are defined. */
  lower(program: Program): void;
  /** The steps of another program on values of this one: the body of a loop. */
  nested(build: (builder: Builder) => void): readonly (Step | Loop)[];
  /** How many loops are around */
  readonly depth: number;
  /** Equations that a step before theirs has done */
  readonly done: Set<Equation>;
  /** What rules have computed from a value and want to find again, by name */
  readonly notes: Map<Atom, ReadonlyMap<string, Var>>;
}

/** Everything that lowering collects besides steps. */
export interface Findings {
  readonly constants: Map<Dense, Buffer>;
  readonly errors: { readonly place: Place; readonly describe: (row: number, rows: number) => Error }[];
  /** Keeps bytes in the arena for as long as the plan lives, filled with a copy of these. */
  keep(bytes: ArrayBufferView): Buffer & { readonly address: number };
}

export function createBuilder(
  findings: Findings,
  lower: (program: Program, builder: Builder) => void,
  enclosing?: { readonly depth: number; readonly read: (variable: Var) => View },
): Builder & { steps(): readonly (Step | Loop)[] } {
  const values = new Map<Var, Value>();
  const steps: (Step | Loop | Chain)[] = [];
  const writtenAt = new Map<Buffer, number>();
  const storedBy = new Map<Buffer, Node>();
  let recent: Chain[] = [];

  const buffer = (bytes: number): Buffer => ({ bytes });
  const create: Builder["create"] = ({ shape, dtype }, order = rowMajor(shape)) => {
    const inOrder = order.map((axis) => shape[axis]);
    const made = whole(buffer(sizeOf(shape) * bytesOf[dtype]), inOrder, dtype);
    return transposed(
      made,
      order.map((_, axis) => order.indexOf(axis)),
    );
  };

  const locate = (x: Atom): Value => {
    if (!(x instanceof Dense)) {
      const known = values.get(x);
      if (known) return known;
      if (!enclosing) throw new Error("wasm: a variable is used before it is made");
      return enclosing.read(x);
    }
    if (x.fill !== undefined) return filled(x.fill, x.shape, x.dtype);
    if (x.size === 1) return filled(x.data[0], x.shape, x.dtype);
    let constant = findings.constants.get(x);
    if (!constant) {
      constant = findings.keep(x.data);
      findings.constants.set(x, constant);
    }
    return whole(constant, x.shape, x.dtype);
  };

  /** New storage for a value, in the order of `axes` of its shape where its chain can write that. */
  const storageFor = ({ node, shape }: Lazy, axes = orderOfReads(node.chain, shape)): View => {
    const ordered = axes && create({ shape, dtype: node.dtype }, axes);
    return ordered && fits(node.chain, [ordered]) ? ordered : create({ shape: [sizeOf(shape)], dtype: node.dtype });
  };

  /** Give a value storage, in the order of `axes` of its shape. */
  const store = (x: Lazy, axes?: readonly number[]): View => {
    const { node, shape } = x;
    if (!node.stored) {
      node.stored = storageFor(x, axes);
      writtenAt.set(node.stored.source as Buffer, node.chain.at);
      storedBy.set(node.stored.source as Buffer, node);
    }
    return reshaped(node.stored, shape) ?? (reshaped(contiguous(node.stored), shape) as View);
  };
  const viewOf = (x: Value): View => ("node" in x ? store(x) : x);
  const readyAt = (x: View): number => (typeof x.source === "number" ? -1 : (writtenAt.get(x.source) ?? -1));

  const open = (shape: readonly number[]): Chain => {
    const chain = newChain(steps.length, shape);
    steps.push(chain);
    recent = [chain, ...recent.slice(0, 7)];
    return chain;
  };

  /** A value of a chain of its own that reads this view. What it took to have the view is done before the chain runs. */
  const copied = (x: View): Node => instructCopy(open(x.shape), x);

  /** The value of a chain that was stored as this view, and the same reduction as that chain sees it, where it can. */
  const whereMade = (
    x: View,
    axes: readonly number[],
  ): { readonly node: Node; readonly reduction: Pick<Reduction, "axes" | "shape"> } | null => {
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
  };

  /** What an op in `chain` would read for a value: nothing where the value is inside the chain. */
  const readFor = (x: Value, chain: Chain): readonly View[] => {
    if (!("node" in x)) return [x];
    if (x.node.chain === chain) return [];
    if (!x.node.stored) return cheapRoots(x.node) ?? [storageFor(x)];
    const seen = reshaped(x.node.stored, x.shape);
    return seen ? [seen] : [];
  };
  const ready = (x: Value, chain: Chain): boolean => {
    if (!("node" in x)) return readyAt(x) < chain.at;
    if (x.node.chain === chain) return true;
    const roots = x.node.stored ? null : cheapRoots(x.node);
    if (roots) return roots.every((root) => readyAt(root) < chain.at);
    // What is stored in an order that this shape cannot walk would be copied, and later than the chain runs.
    return x.node.chain.at < chain.at && (!x.node.stored || reshaped(x.node.stored, x.shape) !== null);
  };
  /** A value as an operand inside `chain`: what costs little is computed there once more rather than stored and read. */
  const inside = (x: Value, chain: Chain): Node | View => {
    if (!("node" in x) || x.node.chain === chain) return "node" in x ? x.node : x;
    return !x.node.stored && cheapRoots(x.node) ? again(x.node, chain) : store(x);
  };

  /** The chain that can take an op on these operands, and the operands as it sees them. */
  const place = (operands: readonly Value[], shape: readonly number[]): { chain: Chain; inputs: (Node | View)[] } => {
    const size = sizeOf(shape);
    const spread = operands.map(
      (x): Value => ("node" in x && sizeOf(x.shape) === size ? x : broadcast(viewOf(x), shape)),
    );
    const sources = new Set(spread.flatMap((x) => ("node" in x ? [x.node.chain] : [])));
    const sharesWith = (chain: Chain): boolean =>
      sources.has(chain) ||
      chain.reads.some(
        (r) => typeof r.source !== "number" && spread.some((x) => !("node" in x) && x.source === r.source),
      );
    // What an op in a chain would have others write down for it, who else would keep it to themselves
    const storesFor = (chain: Chain): number =>
      spread.filter((x) => "node" in x && x.node.chain !== chain && !x.node.stored && !cheapRoots(x.node)).length;
    const candidates = [...new Set([...sources, ...recent])].sort((a, b) => storesFor(a) - storesFor(b) || b.at - a.at);
    const found = candidates.find((chain) => {
      if (chain.size !== size || !sharesWith(chain) || !spread.every((x) => ready(x, chain))) return false;
      return fits(
        chain,
        spread.flatMap((x) => readFor(x, chain)),
      );
    });
    if (found) return { chain: found, inputs: spread.map((x) => inside(x, found)) };
    const alone = newChain(steps.length, shape);
    const together = fits(
      alone,
      spread.flatMap((x) => readFor(x, alone)),
    );
    const views = spread.map((x) => (together && "node" in x && !x.node.stored && cheapRoots(x.node) ? x : viewOf(x)));
    const chain = open(shape);
    return { chain, inputs: views.map((x) => inside(x, chain)) };
  };

  const define = (variable: Var, value: Value): void => {
    values.set(variable, value);
  };

  const emit: Builder["emit"] = (step, writes) => {
    for (const { source } of writes) if (typeof source !== "number") writtenAt.set(source, steps.length);
    steps.push(step);
  };

  const copy: Builder["copy"] = (from, to) => {
    if (sizeOf(to.shape) === 0) return;
    const chain = newChain(steps.length, to.shape);
    const node = instruct(chain, bytesOf[to.dtype] === 8 ? "copy_8" : "copy_4", [from], to.dtype);
    node.stored = to;
    writtenAt.set(to.source as Buffer, steps.length);
    steps.push(chain);
  };

  const contiguous: Builder["contiguous"] = (x) => {
    const view = "offset" in x ? x : viewOf(locate(x));
    if (isContiguous(view)) return view;
    const to = create(view);
    copy(view, to);
    // Who reads it next finds it row-major.
    if ("id" in x) define(x, to);
    return to;
  };

  const builder: Builder & { steps(): readonly (Step | Loop)[] } = {
    view: (x) => viewOf(locate(x)),
    contiguous,
    address: ({ source, offset, dtype }) => ({ buffer: source as Buffer, offset: offset * bytesOf[dtype] }),
    create,
    space: (bytes) => ({ buffer: buffer(bytes), offset: 0 }),
    define,
    emit,
    elementwise(apply, operands, out) {
      const { chain, inputs } = place(operands.map(locate), out.shape);
      define(out, { node: instruct(chain, apply, inputs, out.dtype), shape: out.shape });
    },
    copy,
    reduce(op, x, axes, out) {
      const value = locate(x);
      if (sizeOf(x.shape) === 0) return define(out, filled(0, out.shape, out.dtype));
      if (x.dtype === out.dtype && axes.every((axis) => x.shape[axis] === 1)) return builder.reshape(x, out);
      const to = create(out);
      define(out, to);
      const reduction = { axes, shape: x.shape };
      const made = "node" in value ? { node: value.node, reduction } : whereMade(value, axes);
      const joins = made && fits(made.node.chain, [], made.reduction);
      const node = joins ? made.node : copied(viewOf(value));
      node.chain.reductions.push({ of: node, op, out: to, ...(joins ? made.reduction : reduction) });
      writtenAt.set(to.source as Buffer, node.chain.at);
    },
    sumTo(x, out) {
      const axes = stretchedAxes(out.shape, x.shape);
      const [from, to]: Var[] = [x.shape, x.shape.filter((_, axis) => !axes.includes(axis))].map((shape) => ({
        id: -1,
        shape,
        dtype: x.dtype,
        weak: false,
      }));
      define(from, x);
      if (axes.length > 0) builder.reduce("sum", from, axes, to);
      builder.reshape(axes.length > 0 ? to : from, out);
    },
    transpose(x, axes, out) {
      const value = locate(x);
      if ("node" in value) store(value, axes);
      define(out, transposed(viewOf(value), axes));
    },
    reshape(x, out) {
      const value = locate(x);
      if ("node" in value) return define(out, { node: value.node, shape: out.shape });
      define(out, reshaped(value, out.shape) ?? (reshaped(contiguous(value), out.shape) as View));
    },
    error(describe) {
      const place = { buffer: findings.keep(new Int32Array(4)), offset: 0 };
      findings.errors.push({ place, describe });
      return place;
    },
    widened(x) {
      const view = viewOf(locate(x));
      if (x.dtype !== "bool") return view;
      const to = create({ shape: x.shape, dtype: "int32" });
      copy(view, to);
      return to;
    },
    settle: (results) => settle(steps, results),
    lower: (program) => lower(program, builder),
    depth: enclosing?.depth ?? 0,
    done: new Set(),
    notes: new Map(),
    nested(build) {
      const read = (variable: Var): View => viewOf(locate(variable));
      const inner = createBuilder(findings, lower, { depth: builder.depth + 1, read });
      build(inner);
      return inner.steps();
    },
    steps: () =>
      joinChains(steps.flatMap((step) => ("instructions" in step ? chainSteps(step, labelOf(step), buffer) : [step]))),
  };
  return builder;
}

const rowMajor = (shape: readonly number[]): number[] => shape.map((_, axis) => axis);

/** The order in which all that a chain reads lies, but for what is broadcast; null where they differ. */
function orderOfReads({ reads, size }: Chain, shape: readonly number[]): readonly number[] | null {
  let common: readonly number[] | null = null;
  for (const read of reads) {
    if (typeof read.source === "number" || read.strides.some((s, axis) => s === 0 && read.shape[axis] > 1)) continue;
    const seen = sizeOf(read.shape) === size ? reshaped(read, shape) : null;
    const order = seen && orderOf(seen);
    if (!order || (common && !sameShape(order, common))) return null;
    common = order;
  }
  return common;
}

/** The ops of a chain, for a profile: the first few of them. */
function labelOf(chain: Chain): string {
  const { instructions } = pruned(chain);
  const { reductions } = chain;
  const names = [...instructions.map(({ apply }) => apply.replace(/_.*/, "")), ...reductions.map(({ op }) => op)];
  return names.length > 6 ? `${names.slice(0, 6).join(" ")} …` : names.join(" ");
}
