import { bind, type Primitive, Trace, Tracer } from "./bind.ts";
import type { Data } from "./dtype.ts";
import { NaNError, showShape } from "./errors.ts";
import { asTensor, Dense, own, type Tensor } from "./tensor.ts";
import { type Args, flatten, unflatten } from "./tree.ts";

// A transformation that changes nothing but looks at every result.

class WatchedTracer extends Tracer {
  readonly trace: Watch;
  readonly value: Tensor;

  constructor(trace: Watch, value: Tensor) {
    super();
    this.trace = trace;
    this.value = value;
  }

  get shape(): readonly number[] {
    return this.value.shape;
  }
  get dtype(): Tensor["dtype"] {
    return this.value.dtype;
  }
  get weak(): boolean {
    return this.value.weak;
  }
  get data(): Data {
    return this.value.data;
  }
}

class Watch extends Trace {
  readonly name = "debugNaNs";

  process<P>(prim: Primitive<P>, args: readonly Tensor[], params: P): readonly Tensor[] {
    const values = args.map((x) => this.value(x));
    const outs = bind(prim, values, params);
    for (const y of outs) {
      if (y instanceof Dense && hasNaN(y) && !values.some((x) => x instanceof Dense && hasNaN(x))) {
        const shapes = values.map((x) => showShape(x.shape)).join(", ");
        throw new NaNError(
          `${prim.label?.(params) ?? prim.name}: expected numbers, got NaN in a result of shape ${showShape(y.shape)} from ${shapes}${userLine()}`,
        );
      }
    }
    return outs.map((y) => new WatchedTracer(this, y));
  }

  value(x: Tensor): Tensor {
    return x instanceof WatchedTracer && x.trace === this ? x.value : x;
  }
}

function hasNaN(x: Dense): boolean {
  return x.fill === undefined ? x.data.some(Number.isNaN) : Number.isNaN(x.fill);
}

/** The first line of the stack outside this package, whose folder the top line is in. */
function userLine(): string {
  const V8Error = Error as { stackTraceLimit?: number };
  const limit = V8Error.stackTraceLimit;
  V8Error.stackTraceLimit = Infinity;
  const [here = "", ...lines] = (new Error().stack ?? "").split("\n").slice(1);
  if (limit !== undefined) V8Error.stackTraceLimit = limit;
  const own = here.match(/((?:file:)?[^ (]*[\\/])[^\\/]*:\d+:\d+\)?$/)?.[1] ?? here;
  const line = lines.find((l) => /:\d+:\d+\)?$/.test(l) && !l.includes(own) && !l.includes("node:internal"));
  return line ? `, ${line.trim().replace(/^at /, "at ")}` : "";
}

/**
 * The same function, which throws at the first op that makes a NaN from numbers, naming the op and the line that called it (in a backward
 * pass, the line that asked for it). It watches what is computed from the arguments: gradients taken inside too, and jitted functions op by
 * op. Slow: every result is read.
 *
 * @throws NaNError when an op makes a NaN
 */
export function debugNaNs<A extends Args, Y>(f: (...args: A) => Y): (...args: A) => Y {
  return (...args) => {
    const watch = new Watch();
    const { leaves, structure } = flatten(args);
    try {
      const traced = leaves.map((x) => new WatchedTracer(watch, own("debugNaNs", asTensor("debugNaNs", x))));
      const result = flatten(f(...(unflatten(structure, traced) as A)));
      return unflatten(
        result.structure,
        result.leaves.map((y) => watch.value(asTensor("debugNaNs", y))),
      ) as Y;
    } finally {
      watch.live = false;
    }
  };
}
