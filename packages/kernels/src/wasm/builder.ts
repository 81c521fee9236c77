import type { DType, Program } from "@fmmformer/autodiff";
import { type Atom, Dense, type Equation, sizeOf, stretchedAxes, type Var } from "@fmmformer/autodiff/extend";
import type { ChainFunction } from "./binary/names.ts";
import { type Chain, chainSteps, fits, instruct, pruned } from "./chain.ts";
import { createChains } from "./chains.ts";
import { joinChains } from "./join-chains.ts";
import type { Buffer, Loop, Place, Step } from "./plan.ts";
import { type Settling, settle } from "./settle.ts";
import { createStorage, type Value } from "./storage.ts";
import { bytesOf, filled, reshaped, transposed, type View, whole } from "./view.ts";

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
  const storage = createStorage();
  const { steps, create, store, viewOf, emit, copy } = storage;
  const chains = createChains(storage);

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

  const define = (variable: Var, value: Value): void => {
    values.set(variable, value);
  };

  const contiguous: Builder["contiguous"] = (x) => {
    const view = "offset" in x ? x : viewOf(locate(x));
    const found = storage.contiguous(view);
    // Who reads it next finds it row-major.
    if (found !== view && "id" in x) define(x, found);
    return found;
  };

  const builder: Builder & { steps(): readonly (Step | Loop)[] } = {
    view: (x) => viewOf(locate(x)),
    contiguous,
    address: ({ source, offset, dtype }) => ({ buffer: source as Buffer, offset: offset * bytesOf[dtype] }),
    create,
    space: (bytes) => ({ buffer: { bytes }, offset: 0 }),
    define,
    emit,
    elementwise(apply, operands, out) {
      const { chain, inputs } = chains.place(operands.map(locate), out.shape);
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
      const made = "node" in value ? { node: value.node, reduction } : storage.whereMade(value, axes);
      const joins = made && fits(made.node.chain, [], made.reduction);
      const node = joins ? made.node : chains.copied(viewOf(value));
      node.chain.reductions.push({ of: node, op, out: to, ...(joins ? made.reduction : reduction) });
      storage.written(to, node.chain);
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
      define(out, reshaped(value, out.shape) ?? (reshaped(storage.contiguous(value), out.shape) as View));
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
      joinChains(
        steps.flatMap((step) =>
          "instructions" in step ? chainSteps(step, labelOf(step), (bytes) => ({ bytes })) : [step],
        ),
      ),
  };
  return builder;
}

/** The ops of a chain, for a profile: the first few of them. */
function labelOf(chain: Chain): string {
  const { instructions } = pruned(chain);
  const { reductions } = chain;
  const names = [...instructions.map(({ apply }) => apply.replace(/_.*/, "")), ...reductions.map(({ op }) => op)];
  return names.length > 6 ? `${names.slice(0, 6).join(" ")} …` : names.join(" ");
}
