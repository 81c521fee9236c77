import { type Primitive, Trace, Tracer } from "./bind.ts";
import type { Data } from "./dtype.ts";
import { AbstractValueError, ShapeError, showShape } from "./errors.ts";
import { broadcastTo } from "./primitives/broadcast.ts";
import { moveAxis } from "./primitives/layout.ts";
import { asTensor, isTensor, type Tensor } from "./tensor.ts";
import { type Args, flatten, unflatten } from "./tree.ts";

// vmap. A traced value hides an axis in front of the ones that the function sees; each primitive says what becomes of it.

class BatchTracer extends Tracer {
  readonly trace: Batch;
  /** The value of the whole batch, its axis in front. */
  readonly whole: Tensor;

  constructor(trace: Batch, whole: Tensor) {
    super();
    this.trace = trace;
    this.whole = whole;
  }

  get shape(): readonly number[] {
    return this.whole.shape.slice(1);
  }
  get dtype(): Tensor["dtype"] {
    return this.whole.dtype;
  }
  get weak(): boolean {
    return this.whole.weak;
  }
  get data(): Data {
    throw new AbstractValueError(
      `vmap: expected ops on a value that differs along the mapped axis, got a read of its numbers (shape ${showShape(this.shape)}); choose with where(…)`,
    );
  }
}

class Batch extends Trace {
  readonly name = "vmap";
  readonly size: number;

  constructor(size: number) {
    super();
    this.size = size;
  }

  process<P>(prim: Primitive<P>, args: readonly Tensor[], params: P): readonly Tensor[] {
    const batched = args.map((x) => this.owns(x));
    prim.shape(args, params);
    const outs = prim.batch(
      this.size,
      args.map((x) => (this.owns(x) ? x.whole : x)),
      batched,
      params,
    );
    return outs.map((y) => new BatchTracer(this, y));
  }

  owns(x: Tensor): x is BatchTracer {
    return x instanceof BatchTracer && x.trace === this;
  }
}

/** Which axis of each value is mapped: one number for a whole argument, or a tree of them; null for what is the same in each call. */
export type Axes = number | null | readonly Axes[] | { readonly [key: string]: Axes };

/** Where the mapped axis of the arguments is, and where that of the results goes. */
export interface VmapOptions {
  /** One for all arguments, or an array with one entry per argument. Default 0. */
  readonly in?: Axes;
  readonly out?: Axes;
}

/**
 * Apply a function along an axis of its arguments as if in a loop, but as one computation.
 *
 * @param f - a function of one element
 * @param options.in - the mapped axis of each argument (default 0); null leaves an argument whole
 * @param options.out - the axis of the results along which the calls lie (default 0)
 * @throws ShapeError when the mapped axes differ in length, or no argument is mapped
 */
export function vmap<A extends Args, Y>(f: (...args: A) => Y, options: VmapOptions = {}): (...args: A) => Y {
  const { in: inAxes = 0, out: outAxes = 0 } = options;
  return (...args) => {
    const { leaves, structure } = flatten(args);
    const values = leaves.map((x) => asTensor("vmap", x));
    const axes = axesOf(inAxes, args, "in");
    const size = batchSize(values, axes);
    const batch = new Batch(size);
    try {
      const traced = values.map((x, i) => {
        const axis = axes[i];
        return axis === null ? x : new BatchTracer(batch, moveAxis(x, axis, 0));
      });
      const result = flatten(f(...(unflatten(structure, traced) as A)));
      const axesOut = axesOf(outAxes, unflatten(result.structure, result.leaves), "out");
      const outs = result.leaves.map((leaf, i) => {
        const y = asTensor("vmap", leaf);
        const axis = axesOut[i];
        if (axis === null) {
          if (batch.owns(y))
            throw new ShapeError(
              "vmap: expected a result that is the same in each call where out is null, got one that varies",
            );
          return y;
        }
        return moveAxis(batch.owns(y) ? y.whole : broadcastTo(y, [size, ...y.shape]), 0, axis);
      });
      return unflatten(result.structure, outs) as Y;
    } finally {
      batch.live = false;
    }
  };
}

/** One axis per leaf of a tree: a number or null stands for all leaves below it. */
function axesOf(axes: Axes, tree: unknown, option: "in" | "out"): (number | null)[] {
  if (typeof axes === "number" || axes === null) return flatten(tree).leaves.map(() => axes);
  if (isTensor(tree) || typeof tree !== "object" || tree === null) {
    throw new TypeError(
      `vmap: expected ${option} to have the form of the ${option === "in" ? "arguments" : "result"}, got a list or object for one value`,
    );
  }
  const extra = Object.keys(axes).find((key) => !(key in tree));
  if (extra !== undefined) throw new TypeError(`vmap: expected nothing for ${option}[${extra}], got an axis`);
  return Object.keys(tree)
    .sort(Array.isArray(tree) ? (a, b) => Number(a) - Number(b) : undefined)
    .flatMap((key) => {
      const below = (axes as Record<string, Axes>)[key];
      if (below === undefined) throw new TypeError(`vmap: expected an axis or null for ${option}[${key}], got nothing`);
      return axesOf(below, (tree as Record<string, unknown>)[key], option);
    });
}

function batchSize(values: readonly Tensor[], axes: readonly (number | null)[]): number {
  let size: number | undefined;
  values.forEach((x, i) => {
    const axis = axes[i];
    if (axis === null) return;
    const n = x.shape[axis < 0 ? axis + x.shape.length : axis];
    if (n === undefined)
      throw new ShapeError(
        `vmap: expected a value with an axis ${axis}, got shape ${showShape(x.shape)}; give in: null for it`,
      );
    if (size !== undefined && n !== size)
      throw new ShapeError(`vmap: expected mapped axes of length ${size}, got ${n} in shape ${showShape(x.shape)}`);
    size = n;
  });
  if (size === undefined)
    throw new ShapeError("vmap: expected at least one mapped argument, got none; give in: an axis for one of them");
  return size;
}
