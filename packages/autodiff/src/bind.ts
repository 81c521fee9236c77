import { allocate, type Data } from "./dtype.ts";
import { LeakedTracerError } from "./errors.ts";
import { sizeOf } from "./shape.ts";
import { type Aval, Dense, own, Tensor } from "./tensor.ts";

/** A cotangent for each output or input; null stands for zero. */
export type Cotangents = readonly (Tensor | null)[];

/**
 * An operation that transformations know by its rules alone.
 *
 * `P` is what makes one use of it differ from another besides its inputs: axes, shapes, a sub-program. Parameters are static.
 */
export interface Primitive<P = unknown> {
  readonly name: string;
  /** What comes out, or a ShapeError at the line of the caller. */
  shape(args: readonly Aval[], params: P): readonly Aval[];
  /** The plain, obviously right computation. */
  value(args: readonly Dense[], params: P, outs: readonly Aval[]): readonly Dense[];
  /** Cotangents of the inputs that `needs` marks. Written with ops, so that it can be differentiated again. None: outputs are constants. */
  vjp?(
    cts: Cotangents,
    args: readonly Tensor[],
    outs: readonly Tensor[],
    params: P,
    needs: readonly boolean[],
  ): Cotangents;
  /** Inputs marked in `batched` have a new axis of `size` in front; so must every output. */
  batch(size: number, args: readonly Tensor[], batched: readonly boolean[], params: P): readonly Tensor[];
  /** Parameters under which extra outputs keep what the pullback needs; asked for when the op is recorded on a tape. */
  saving?(params: P): P;
  /** Parameters as a reader of a printed program wants them. */
  show?(params: P): string;
  /** What to print for the name, where parameters say more than it does. */
  label?(params: P): string;
}

/** A transformation in progress. The innermost one among the arguments of an op has the largest id: there is no stack. */
export abstract class Trace {
  static #made = 0;
  readonly id: number = ++Trace.#made;
  /** False once the function being transformed has returned: its tracers must not be used any more. */
  live = true;
  abstract readonly name: string;
  abstract process<P>(prim: Primitive<P>, args: readonly Tensor[], params: P): readonly Tensor[];
}

/** A value as one transformation sees it. */
export abstract class Tracer extends Tensor {
  abstract readonly trace: Trace;
}

/** Apply a primitive: at once where all arguments have numbers, else as the innermost transformation says. */
export function bind<P>(prim: Primitive<P>, args: readonly Tensor[], params: P): readonly Tensor[] {
  if (!args.every((x) => x instanceof Tensor)) {
    const op = prim.label?.(params) ?? prim.name;
    return bind(
      prim,
      args.map((x) => own(op, x)),
      params,
    );
  }
  let innermost: Trace | null = null;
  for (const arg of args) {
    if (arg instanceof Tracer && (innermost === null || arg.trace.id > innermost.id)) innermost = arg.trace;
  }
  if (innermost === null) return prim.value(args as readonly Dense[], params, prim.shape(args, params));
  if (!innermost.live) {
    throw new LeakedTracerError(
      `${prim.name}: expected values of this call, got a tracer that outlived its ${innermost.name}; ` +
        "return it from the transformed function instead of storing it",
    );
  }
  return innermost.process(prim, args, params);
}

/** The rules of a primitive with one output, from which `definePrimitive` makes the general form. */
export interface Rules<P> {
  readonly name: string;
  shape(args: readonly Aval[], params: P): Aval;
  /** Fill `out`, which is zeroed. */
  value(out: Data, args: readonly Dense[], params: P, aval: Aval): void;
  /** The number that fills the output, where each input is filled with one number and so is the output. */
  fill?(values: readonly number[], params: P): number;
  /** One thunk per input, called only where its cotangent is needed; null for an input that has none. */
  vjp?(g: Tensor, args: readonly Tensor[], y: Tensor, params: P): readonly ((() => Tensor) | null)[];
  batch(size: number, args: readonly Tensor[], batched: readonly boolean[], params: P): Tensor;
  show?(params: P): string;
}

/** A primitive with one output, from its rules. */
export function definePrimitive<P>(rules: Rules<P>): Primitive<P> {
  const { vjp, fill } = rules;
  return {
    name: rules.name,
    shape: (args, params) => [rules.shape(args, params)],
    value(args, params, [aval]) {
      if (fill && args.every((x) => x.fill !== undefined)) {
        return [
          new Dense(
            aval,
            fill(
              args.map((x) => x.fill as number),
              params,
            ),
          ),
        ];
      }
      const out = allocate(aval.dtype, sizeOf(aval.shape));
      rules.value(out, args, params, aval);
      return [new Dense(aval, out)];
    },
    batch: (size, args, batched, params) => [rules.batch(size, args, batched, params)],
    ...(vjp && {
      vjp([g], args, [y], params, needs) {
        if (!g) return args.map(() => null);
        return vjp(g, args, y, params).map((rule, i) => (rule && needs[i] ? rule() : null));
      },
    }),
    ...(rules.show && { show: rules.show }),
  };
}

/** Apply a primitive that has one output. */
export function apply<P>(prim: Primitive<P>, args: readonly Tensor[], params: P): Tensor {
  return bind(prim, args, params)[0];
}
