import type { Cotangents } from "./bind.ts";
import { type Callee, call, pullThrough } from "./call.ts";
import { ShapeError, showShape } from "./errors.ts";
import { evaluate } from "./program.ts";
import { sameShape } from "./shape.ts";
import { stageTree } from "./stage.ts";
import { asTensor, isTensor, type Scalar, type Tensor } from "./tensor.ts";
import { type Args, type Cotangent, flatten, matching, type Structure, unflatten } from "./tree.ts";

/** An op with a pullback of its own. */
export interface CustomVjp<A extends Args, Y, R> {
  readonly name: string;
  /** The result, and what the pullback wants to keep. Written with ops. */
  readonly forward: (...args: A) => readonly [Y, R];
  /**
   * From what was kept and the cotangent of the result to one cotangent per argument, null for none. It must be linear in the cotangent.
   * `needs[i]` tells whether that of argument i will be used.
   */
  readonly pullback: (
    residuals: R,
    ct: Cotangent<Y>,
    needs: readonly boolean[],
  ) => { readonly [K in keyof A]: Cotangent<A[K]> | null };
  /**
   * For ops that take any number of leading batch axes: for each argument, how many trailing axes of its tensors are not such. Then
   * `vmap` keeps the op as it is, its mapped axis in front of all.
   */
  readonly leading?: readonly number[];
  /**
   * Whether engines that have a kernel of this name may run it in place of the op: only for ops that the engine was made for. False unless
   * told, so that a name is free.
   */
  readonly kernel?: boolean;
}

/**
 * An op with a hand-written pullback, recorded as ONE equation, `call name {parameters} inputs → outputs, residuals`; its pullback is
 * another, `name.pullback`. Tensors in the arguments are inputs; numbers, strings, booleans and functions are static parameters.
 *
 * The pullback is differentiated like any function, so every order exists. Both functions are staged: they cannot branch on values.
 *
 * @throws ShapeError when the pullback returns a cotangent of another shape than its argument
 */
export function customVjp<A extends Args, Y, R>(op: CustomVjp<A, Y, R>): (...args: A) => Y {
  const { name, leading, kernel } = op;
  return (...args) => {
    const { leaves, structure } = flatten(args, isTensor);
    const owners = args.flatMap((arg, i) => flatten(arg, isTensor).leaves.map(() => i));
    let form: Structure | undefined;
    let kept: { readonly structure: Structure; readonly from: readonly Place[] } | undefined;

    const forward: Callee["forward"] = (inputs) => {
      const [y, residuals] = op.forward(...(unflatten(structure, inputs) as A));
      const result = flatten(y);
      const seen = result.leaves.map((leaf) => asTensor(name, leaf));
      const outs = [...seen];
      form = result.structure;
      const keep = flatten(residuals, isTensor);
      const from = (keep.leaves as Tensor[]).map((x): Place => {
        const input = inputs.indexOf(x);
        if (input >= 0) return { input };
        if (!outs.includes(x)) outs.push(x);
        return { out: outs.indexOf(x) };
      });
      kept = { structure: keep.structure, from };
      return [seen, outs.slice(seen.length)];
    };

    const pullback: Callee["pullback"] = (cts, inputs, outs, needs) => {
      const { structure: keep, from } = kept as NonNullable<typeof kept>;
      const residuals = unflatten(
        keep,
        from.map((place) => ("input" in place ? inputs[place.input] : outs[place.out])),
      );
      const needed = args.map((_, arg) => owners.some((owner, i) => owner === arg && needs[i]));
      const found = op.pullback(
        residuals as R,
        unflatten(form as Structure, cts) as Cotangent<Y>,
        needed,
      ) as readonly unknown[];
      return args.flatMap((arg, i): Cotangents => {
        const xs = inputs.filter((_, at) => owners[at] === i);
        const gs = matching(`${name}.pullback`, flatten(arg, isTensor).structure, found[i]);
        return xs.map((x, at) => checked(`${name}.pullback`, i, gs[at], x));
      });
    };

    const callee = {
      name,
      ...(kernel && { kernel }),
      params: parametersOf(args),
      forward,
      pullback,
      ...(leading && { core: owners.map((arg) => leading[arg]) }),
    };
    const outs = call(callee, leaves as Tensor[]);
    return unflatten(form as Structure, outs) as Y;
  };
}

/** Where a residual is found: it may be an input or a result, which are there anyway. */
type Place = { readonly input: number } | { readonly out: number };

function checked(op: string, argument: number, ct: Scalar | null, x: Tensor): Tensor | null {
  if (ct === null) return null;
  const g = asTensor(op, ct);
  if (sameShape(g.shape, x.shape)) return g;
  throw new ShapeError(
    `${op}: expected a cotangent of shape ${showShape(x.shape)} for argument ${argument}, got ${showShape(g.shape)}`,
  );
}

/** Static parameters by name: those in option objects by key, others by position. */
function parametersOf(args: readonly unknown[]): Callee["params"] {
  const found: Record<string, unknown> = {};
  args.forEach((arg, i) => {
    if (typeof arg !== "object" || arg === null) {
      if (arg !== null && arg !== undefined) found[i] = arg;
    } else if (!isTensor(arg) && !Array.isArray(arg)) {
      for (const [key, value] of Object.entries(arg)) {
        if (value !== null && value !== undefined && flatten(value, isTensor).leaves.length === 0) found[key] = value;
      }
    }
  });
  return found;
}

/**
 * The same function, whose backward pass computes it again instead of keeping what it computed: memory for time.
 *
 * @param f - any function of trees; it is staged, so it cannot branch on values
 * @see Chen, Xu, Zhang, Guestrin (2016), Training deep nets with sublinear memory cost, https://arxiv.org/abs/1604.06174
 */
export function checkpoint<A extends Args, Y>(f: (...args: A) => Y): (...args: A) => Y {
  return (...args) => {
    const { leaves, structure } = flatten(args);
    const inputs = leaves.map((x) => asTensor("checkpoint", x));
    const { program, captured, result } = stageTree("checkpoint", f, structure, inputs);
    const callee: Callee = {
      name: "checkpoint",
      params: {},
      forward: (xs) => [evaluate(program, xs), []],
      pullback: (cts, xs, _, needs) => pullThrough(program, xs, cts, needs),
    };
    return unflatten(result, call(callee, [...captured, ...inputs])) as Y;
  };
}
