import { bind, type Cotangents, type Primitive, Trace, Tracer } from "./bind.ts";
import { type Data, isFloat } from "./dtype.ts";
import { DTypeError, ShapeError, showShape } from "./errors.ts";
import { castPrimitive } from "./primitives/cast.ts";
import { add } from "./primitives/elementwise.ts";
import { sameShape } from "./shape.ts";
import { asTensor, describe, isTensor, onesLike, type Scalar, type Tensor, zerosLike } from "./tensor.ts";
import { type Args, type Cotangent, flatten, matching, type Structure, unflatten } from "./tree.ts";

// Reverse mode. While a function runs, every op on a traced value is computed at the level below and written on a tape;
// its pullback walks the tape from the end. Pullback rules are made of ops, so a tape under a tape gives the next order.

interface Node {
  readonly prim: Primitive | null;
  readonly params: unknown;
  readonly args: readonly Tensor[];
  readonly outs: readonly Tensor[];
  /** Where each argument came from on this tape; null for a constant. */
  readonly sources: readonly (TapeTracer | null)[];
}

class TapeTracer extends Tracer {
  readonly trace: Tape;
  readonly primal: Tensor;
  readonly node: number;
  readonly output: number;

  constructor(trace: Tape, primal: Tensor, node: number, output: number) {
    super();
    this.trace = trace;
    this.primal = primal;
    this.node = node;
    this.output = output;
  }

  get shape(): readonly number[] {
    return this.primal.shape;
  }
  get dtype(): Tensor["dtype"] {
    return this.primal.dtype;
  }
  get weak(): boolean {
    return this.primal.weak;
  }
  /** Known wherever the level below knows it: eager gradients may branch on values. */
  get data(): Data {
    return this.primal.data;
  }
}

class Tape extends Trace {
  readonly name = "grad";
  readonly nodes: Node[] = [];

  input(primal: Tensor): TapeTracer {
    this.nodes.push({ prim: null, params: null, args: [], outs: [primal], sources: [] });
    return new TapeTracer(this, primal, this.nodes.length - 1, 0);
  }

  process<P>(prim: Primitive<P>, args: readonly Tensor[], params: P): readonly Tensor[] {
    const sources = args.map((x) => this.own(x));
    const primals = args.map((x, i) => sources[i]?.primal ?? x);
    const recorded = prim.saving?.(params) ?? params;
    const outs = bind(prim, primals, recorded);
    if (!outs.some((y) => isFloat(y.dtype))) return outs;
    this.nodes.push({ prim: prim as Primitive, params: recorded, args: primals, outs, sources });
    const node = this.nodes.length - 1;
    return outs.map((y, i) => (isFloat(y.dtype) ? new TapeTracer(this, y, node, i) : y));
  }

  own(x: Tensor): TapeTracer | null {
    return x instanceof TapeTracer && x.trace === this ? x : null;
  }

  /** Cotangents of `inputs`, given those of `outputs`. */
  pull(outputs: readonly Tensor[], cts: Cotangents, inputs: readonly TapeTracer[]): Cotangents {
    const waiting: (Tensor | null)[][] = [];
    const deliver = (to: TapeTracer, ct: Tensor): void => {
      waiting[to.node] ??= this.nodes[to.node].outs.map(() => null);
      const slot = waiting[to.node];
      const sum = slot[to.output];
      slot[to.output] = sum === null ? like(ct, to) : add(sum, like(ct, to));
    };
    outputs.forEach((y, i) => {
      const [source, ct] = [this.own(y), cts[i]];
      if (source && ct) deliver(source, ct);
    });
    for (let at = this.nodes.length - 1; at >= 0; at--) {
      const { prim, params, args, outs, sources } = this.nodes[at];
      const gathered = waiting[at];
      if (!gathered || !prim) continue;
      delete waiting[at];
      if (!prim.vjp) throw new TypeError(`${prim.name}: has no vjp; wrap it in stopGradient to treat it as a constant`);
      const needs = sources.map((source) => source !== null);
      prim.vjp(gathered, args, outs, params, needs).forEach((ct, i) => {
        const source = sources[i];
        if (ct && source) deliver(source, ct);
      });
    }
    return inputs.map((x) => waiting[x.node]?.[0] ?? null);
  }
}

/** A cotangent in the dtype of its value: rules may have promoted it. */
function like(ct: Tensor, x: Tensor): Tensor {
  if (ct.dtype === x.dtype && ct.weak === x.weak) return ct;
  return bind(castPrimitive, [ct], { dtype: x.dtype, weak: x.weak })[0];
}

/** A function's run on a tape: its result, and the pullback from a cotangent per output to one per input. */
export interface Recording {
  readonly result: unknown;
  readonly structure: Structure;
  readonly outputs: readonly Tensor[];
  readonly pull: (cts: Cotangents) => Cotangents;
}

/** Run f on traced copies of values; integers and those not in `needs` stay constants. */
export function record(
  f: (inputs: readonly Tensor[]) => unknown,
  leaves: readonly Tensor[],
  needs?: readonly boolean[],
): Recording {
  const tape = new Tape();
  const inputs = leaves.map((x, i) => (isFloat(x.dtype) && needs?.[i] !== false ? tape.input(x) : null));
  let traced: ReturnType<typeof flatten>;
  try {
    traced = flatten(f(leaves.map((x, i) => inputs[i] ?? x)));
  } finally {
    tape.live = false;
  }
  const raw = traced.leaves.map((y) => asTensor("vjp", y));
  const outputs = raw.map((y) => tape.own(y)?.primal ?? y);
  const pull = (cts: Cotangents): Cotangents => {
    const found = tape.pull(
      raw,
      cts,
      inputs.filter((x) => x !== null),
    );
    let at = 0;
    return inputs.map((x) => (x ? found[at++] : null));
  };
  return { result: unflatten(traced.structure, outputs), structure: traced.structure, outputs, pull };
}

/**
 * Evaluate a function and get its pullback, the linear map from a cotangent of the result to cotangents of the arguments.
 *
 * @param f - any function of trees
 * @param args - where to evaluate it
 * @returns `[f(...args), pullback]`; the pullback returns one tree per argument, in which integer tensors have null. It may be called again
 * @see Griewank, Walther (2008), Evaluating derivatives, chapter 3
 */
export function vjp<A extends Args, Y>(
  f: (...args: A) => Y,
  ...args: A
): [Y, (ct: Cotangent<Y>) => { [K in keyof A]: Cotangent<A[K]> }] {
  const { leaves, structure } = flatten(args);
  const {
    result,
    structure: form,
    outputs,
    pull,
  } = record(
    (traced) => f(...(unflatten(structure, traced) as A)),
    leaves.map((x) => asTensor("vjp", x)),
  );
  const pullback = (ct: Cotangent<Y>): { [K in keyof A]: Cotangent<A[K]> } => {
    const cts = matching("pullback", form, ct).map((g, i) =>
      g === null ? null : checkCotangent(asTensor("pullback", g), outputs[i]),
    );
    const found = pull(cts);
    const full = leaves.map((x, i) => found[i] ?? zeroFor(asTensor("vjp", x)));
    return unflatten(structure, full) as { [K in keyof A]: Cotangent<A[K]> };
  };
  return [result as Y, pullback];
}

function zeroFor(x: Tensor): Tensor | null {
  return isFloat(x.dtype) ? zerosLike(x) : null;
}

function checkCotangent(ct: Tensor, y: Tensor): Tensor | null {
  if (!isFloat(y.dtype)) return null;
  if (!sameShape(ct.shape, y.shape)) {
    throw new ShapeError(`pullback: expected a cotangent of shape ${showShape(y.shape)}, got ${showShape(ct.shape)}`);
  }
  return like(ct, y);
}

/** Which arguments to differentiate, and whether f returns `[value, auxiliary]`. */
export interface GradOptions {
  /** One position or several; default 0. */
  readonly argnums?: number | readonly number[];
  /** f returns `[scalar, auxiliary]`; the auxiliary part is passed on. */
  readonly hasAux?: boolean;
}

type Picked<A extends Args, N> = N extends readonly number[]
  ? { [I in keyof N]: Cotangent<A[N[I] & keyof A]> }
  : Cotangent<A[N & keyof A]>;

/**
 * A function that returns the value and the gradient of a scalar function.
 *
 * @param f - returns a scalar, or `[scalar, auxiliary]` with `hasAux`
 * @returns `[value, gradient]`, or `[[value, auxiliary], gradient]`; the gradient has the form of argument `argnums` (a list of such for a list)
 * @throws TypeError when the result is not a scalar, DTypeError when an argument in `argnums` holds integers, RangeError when there is no such
 * argument or one is named twice
 */
export function valueAndGrad<A extends Args, Aux, const N extends number | readonly number[] = 0>(
  f: (...args: A) => readonly [Scalar, Aux],
  options: { readonly argnums?: N; readonly hasAux: true },
): (...args: A) => [[Tensor, Aux], Picked<A, N>];
export function valueAndGrad<A extends Args, const N extends number | readonly number[] = 0>(
  f: (...args: A) => Scalar,
  options?: { readonly argnums?: N; readonly hasAux?: false },
): (...args: A) => [Tensor, Picked<A, N>];
export function valueAndGrad<A extends Args>(
  f: (...args: A) => unknown,
  options: GradOptions = {},
): (...args: A) => [unknown, unknown] {
  const { argnums = 0, hasAux = false } = options;
  const wanted = typeof argnums === "number" ? [argnums] : argnums;
  return (...args) => {
    if (new Set(wanted).size < wanted.length)
      throw new RangeError(`grad: expected distinct argnums, got ${wanted.join(", ")}`);
    for (const n of wanted) {
      if (!(n in args))
        throw new RangeError(
          `grad: expected argnums from 0 to ${args.length - 1} for ${args.length} arguments, got ${n}`,
        );
    }
    const picked = flatten(wanted.map((n) => args[n]));
    const leaves = picked.leaves.map((x) => floating("grad", x, "leave it out of argnums or cast it"));
    const { result, outputs, pull } = record((traced) => {
      const full = [...args] as unknown[];
      (unflatten(picked.structure, traced) as unknown[]).forEach((tree, i) => {
        full[wanted[i]] = tree;
      });
      const y = f(...(full as unknown as A));
      return hasAux ? y : [y];
    }, leaves);
    const [value, aux] = result as [unknown, unknown];
    checkScalar(value, outputs);
    const cts = outputs.map((y, i) => (i === 0 ? onesLike(y) : null));
    const found = pull(cts).map((ct, i) => ct ?? zerosLike(leaves[i]));
    const grads = unflatten(picked.structure, found) as unknown[];
    return [hasAux ? [value, aux] : value, typeof argnums === "number" ? grads[0] : grads];
  };
}

/** A leaf of an argument to differentiate. */
export function floating(op: string, leaf: Scalar, remedy: string): Tensor {
  const x = asTensor(op, leaf);
  if (isFloat(x.dtype)) return x;
  throw new DTypeError(`${op}: expected float arguments, got ${describe(x)} and dtype ${x.dtype}; ${remedy}`);
}

function checkScalar(value: unknown, [y]: readonly Tensor[]): void {
  if (!isTensor(value) || value !== y) throw new TypeError(`grad: expected a scalar output, got ${describe(value)}`);
  if (y.shape.length > 0)
    throw new TypeError(`grad: expected a scalar output, got ${showShape(y.shape)}; sum it first`);
  if (!isFloat(y.dtype)) throw new TypeError(`grad: expected a float output, got ${y.dtype}; cast it first`);
}

/**
 * A function that returns the gradient of a scalar function.
 *
 * @param f - returns a scalar, or `[scalar, auxiliary]` with `hasAux`
 * @returns the gradient with the form of argument `argnums` (a list of such for a list); with `hasAux`, `[gradient, auxiliary]`
 * @throws TypeError when the result is not a scalar, DTypeError when an argument in `argnums` holds integers, RangeError when there is no such
 * argument or one is named twice
 */
export function grad<A extends Args, Aux, const N extends number | readonly number[] = 0>(
  f: (...args: A) => readonly [Scalar, Aux],
  options: { readonly argnums?: N; readonly hasAux: true },
): (...args: A) => [Picked<A, N>, Aux];
export function grad<A extends Args, const N extends number | readonly number[] = 0>(
  f: (...args: A) => Scalar,
  options?: { readonly argnums?: N; readonly hasAux?: false },
): (...args: A) => Picked<A, N>;
export function grad(f: (...args: Args) => unknown, options: GradOptions = {}): (...args: Args) => unknown {
  const both = valueAndGrad(f as never, options as never) as (...args: Args) => [[unknown, unknown], unknown];
  return (...args) => {
    const [value, gradient] = both(...args);
    return options.hasAux ? [gradient, value[1]] : gradient;
  };
}
