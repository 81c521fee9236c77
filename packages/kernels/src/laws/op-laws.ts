import {
  type Args,
  type AsyncEngine,
  type CheckOptions,
  checkGradients,
  checkLinear,
  type Engine,
  type Equation,
  flatten,
  isFloat,
  jit,
  mul,
  type Program,
  random,
  ShapeError,
  stack,
  sum,
  type Tensor,
  take,
  trace,
  unflatten,
  vjp,
  vmap,
  zeros,
} from "@fmmformer/autodiff";
import { agree, LawError, tensorsOf } from "./agreement.ts";

// Laws of any op. Each takes the op and arguments at which to check it, and throws where it does not hold. Arguments are trees
// of tensors; close over options.

type Op<A extends Args> = (...args: A) => unknown;

/** How close two computations of the same must come, and where random cotangents come from. */
export interface LawOptions {
  /** Relative to the largest number compared. */
  readonly tolerance?: number;
  readonly key?: Tensor;
}

/** Random normal numbers in the form of a tree; null where it holds integers. */
export function randomLike<T>(key: Tensor, tree: T): T {
  const { leaves, structure } = flatten(tree);
  const drawn = (leaves as Tensor[]).map(({ shape, dtype }, i) =>
    dtype === "float32" || dtype === "float64" ? random.normal(random.fold(key, i), shape, { dtype }) : null,
  );
  return unflatten(structure, drawn) as T;
}

/** The value of an op, and what its pullback makes of random cotangents. */
function valueAndPullback<A extends Args>(f: Op<A>, args: A, key: Tensor): readonly [unknown, unknown] {
  const [y, pullback] = vjp(f, ...args);
  return [y, pullback(randomLike(key, y) as never)];
}

/**
 * The op and its dense definition give the same values, and the same cotangents of their arguments for random ones of the result.
 *
 * @param options.tolerance - default 1e-12, for float64
 */
export function agreesWithOracle<A extends Args>(f: Op<A>, oracle: Op<A>, args: A, options: LawOptions = {}): void {
  const { tolerance = 1e-12, key = random.key(0) } = options;
  const [y, dargs] = valueAndPullback(f, args, key);
  const [expected, expectedDargs] = valueAndPullback(oracle, args, key);
  agree("agreesWithOracle", y, expected, { tolerance });
  agree("agreesWithOracle (pullback)", dargs, expectedDargs, { tolerance });
}

/**
 * Its derivatives are those that differences show, along random directions and up to an order (default 2), and its pullback is linear.
 */
export function hasGradient<A extends Args>(f: Op<A>, args: A, options: CheckOptions = {}): void {
  checkGradients(f, args, { order: 2, ...options });
  const [y, pullback] = vjp(f, ...args);
  const floats = tensorsOf(y).every(({ dtype }) => isFloat(dtype));
  if (floats) checkLinear(pullback as (ct: unknown) => unknown, y, options);
}

/** It leaves its arguments as they were, bit by bit, and gives the same bits when it is called again. */
export function isPure<A extends Args>(f: Op<A>, args: A): void {
  const before = tensorsOf(args).map((x) => bytes(x).slice());
  const [first, second] = [f(...args), f(...args)];
  tensorsOf(args).forEach((x, at) => {
    if (bytes(x).some((byte, i) => byte !== before[at][i]))
      throw new LawError(`isPure: expected tensor ${at} of the arguments unchanged, got other numbers`);
  });
  agree("isPure", second, first);
}

function bytes({ data }: Tensor): Uint8Array {
  return new Uint8Array(data.buffer, data.byteOffset, data.byteLength);
}

/** A linear op A and its pullback Aᵀ are adjoint: ⟨A x, y⟩ = ⟨x, Aᵀ y⟩ for random y; and A is linear. */
export function isAdjoint<X>(f: (x: X) => unknown, x: X, options: LawOptions = {}): void {
  const { tolerance = 1e-12, key = random.key(0) } = options;
  const [y, transposed] = vjp(f, x);
  const g = randomLike(key, y);
  const [back] = transposed(g as never);
  const [left, right] = [inner(y, g), inner(x, back)];
  if (!(Math.abs(left.value - right.value) <= tolerance * Math.max(left.scale, right.scale)))
    throw new LawError(`isAdjoint: expected ⟨A x, y⟩ = ${left.value}, got ⟨x, Aᵀ y⟩ = ${right.value}`);
  checkLinear(f, x, { key, tolerance });
}

/** Σ of the products of two trees, and of the sizes of its terms. */
function inner(a: unknown, b: unknown): { readonly value: number; readonly scale: number } {
  let [value, scale] = [0, 0];
  const others = tensorsOf(b);
  tensorsOf(a).forEach((x, i) => {
    const products = mul(x, others[i]);
    value += sum(products).item();
    for (const term of products.data) scale += Math.abs(term);
  });
  return { value, scale };
}

/**
 * Mapped, it gives what it gives call by call, stacked; the same for its pullback, outside `vmap` and inside.
 *
 * @param calls - the arguments of each call, of one form
 * @param options.in - for each argument, null where every call takes that of the first, or 0; default 0
 * @param options.tolerance - default 1e-12
 */
export function commutesWithVmap<A extends Args>(
  f: Op<A>,
  calls: readonly A[],
  options: LawOptions & { readonly in?: readonly (0 | null)[] } = {},
): void {
  const { tolerance = 1e-12, key = random.key(0) } = options;
  const [first] = calls;
  const axes = first.map((_, i) => (options.in ? options.in[i] : 0));
  const each = calls.map((call) => call.map((arg, i) => (axes[i] === null ? first[i] : arg)) as unknown as A);
  const args = stackTrees(each).map((arg, i) => (axes[i] === null ? first[i] : arg)) as unknown as A;
  const mapped = vmap(f, { in: axes });
  const [y, pullback] = vjp(mapped, ...args);
  const expected = each.map((call) => vjp(f, ...call));
  agree("commutesWithVmap", y, stackTrees(expected.map(([value]) => value)), { tolerance });

  const g = randomLike(key, y);
  const dargs = expected.map(([, pull], i) => pull(row(g, i) as never) as unknown as A);
  const stacked = stackTrees(dargs);
  const inside = vmap((...xs: readonly unknown[]) => vjp(f, ...(xs.slice(1) as unknown as A))[1](xs[0] as never), {
    in: [0, ...axes],
  });
  agree("commutesWithVmap (vmap of the pullback)", inside(g, ...args), stacked, { tolerance });
  const summed = stacked.map((arg, i) => (axes[i] === null ? overCalls(arg) : arg));
  agree("commutesWithVmap (pullback of vmap)", pullback(g as never), summed, { tolerance });
}

/** One tree from many of one form: each tensor the stack of theirs. */
function stackTrees<T>(trees: readonly T[]): T {
  const { structure } = flatten(trees[0]);
  const all = trees.map((tree) => flatten(tree).leaves);
  const stacked = all[0].map((_, at) => stack(all.map((leaves) => leaves[at])));
  return unflatten(structure, stacked) as T;
}

function row<T>(tree: T, i: number): T {
  const { leaves, structure } = flatten(tree);
  return unflatten(
    structure,
    leaves.map((x) => take(x as Tensor, i)),
  ) as T;
}

/** Cotangents of calls that shared an argument, added up. */
function overCalls<T>(tree: T): T {
  const { leaves, structure } = flatten(tree);
  return unflatten(
    structure,
    leaves.map((x) => sum(x, { axis: 0 })),
  ) as T;
}

/**
 * Compiled, it gives what it gives at once; so does its pullback.
 *
 * @param options.tolerance - default 1e-12: compiling may reorder sums
 */
export function commutesWithJit<A extends Args>(f: Op<A>, args: A, options: LawOptions = {}): void {
  const { tolerance = 1e-12, key = random.key(0) } = options;
  const [y, dargs] = valueAndPullback(f, args, key);
  agree("commutesWithJit", jit(f)(...args), y, { tolerance });
  const both = jit((g: unknown, ...xs: readonly unknown[]) => vjp(f, ...(xs as unknown as A))[1](g as never));
  agree("commutesWithJit (pullback)", both(randomLike(key, y), ...args), dargs, { tolerance });
}

/**
 * An engine gives what the value rules give, for the op and for its pullback, and so do other engines bit by bit.
 *
 * @param engines - the first is compared with the value rules, the others with the first
 * @param options.tolerance - default 1e-12, for float64
 */
export function runsAlike<A extends Args>(
  f: Op<A>,
  args: A,
  engines: readonly Engine[],
  options: LawOptions = {},
): void {
  const { tolerance = 1e-12, key = random.key(0) } = options;
  const [y, pull] = vjp(f, ...args);
  const g = randomLike(key, y);
  const back = (ct: unknown, ...xs: readonly unknown[]): unknown => vjp(f, ...(xs as unknown as A))[1](ct as never);
  const [first, ...others] = engines.map((engine) => [jit(f, { engine })(...args), jit(back, { engine })(g, ...args)]);
  // Beside what went in: rounding errors are those of the largest term, and terms may cancel.
  agree("runsAlike", [first[0], args], [y, args], { tolerance });
  agree("runsAlike (pullback)", [first[1], args, g], [pull(g as never), args, g], { tolerance });
  others.forEach((other, i) => {
    agree(`runsAlike (${engines[i + 1].name}, the same bits)`, other, first);
  });
}

/**
 * The op and its pullback, run by an engine that answers later, come to what they do without.
 *
 * @param options.tolerance - default 1e-5, for float32
 * @param options.onDifference - told the largest difference of the values and of the cotangents, relative to the largest
 * number of arguments and results
 */
export async function runsAlikeOn<A extends Args>(
  f: Op<A>,
  args: A,
  engine: AsyncEngine,
  options: LawOptions & { readonly onDifference?: (largest: number) => void } = {},
): Promise<void> {
  const { tolerance = 1e-5, key = random.key(0), onDifference = () => {} } = options;
  const [y, pull] = vjp(f, ...args);
  const g = randomLike(key, y);
  const back = (ct: unknown, ...xs: readonly unknown[]): unknown => vjp(f, ...(xs as unknown as A))[1](ct as never);
  const within = { tolerance, onDifference };
  agree(`runsAlikeOn ${engine.name}`, [await jit(f, { engine })(...args), args], [y, args], within);
  const pulled = await jit(back, { engine })(g, ...args);
  agree(`runsAlikeOn ${engine.name} (pullback)`, [pulled, args, g], [pull(g as never), args, g], within);
}

/**
 * It refuses arguments of any other size: for each axis of each tensor, one element more throws a ShapeError in the name of the op.
 *
 * @param options.name - how the message begins
 * @param options.free - axes that may have any size, as [tensor, axis]
 */
export function refusesOtherSizes<A extends Args>(
  f: Op<A>,
  args: A,
  options: { readonly name: string; readonly free?: readonly (readonly [tensor: number, axis: number])[] },
): void {
  const { leaves, structure } = flatten(args);
  const { name, free = [] } = options;
  (leaves as Tensor[]).forEach((x, at) => {
    x.shape.forEach((n, axis) => {
      if (free.some(([tensor, of]) => tensor === at && of === axis)) return;
      const larger = zeros(
        x.shape.map((size, i) => (i === axis ? n + 1 : size)),
        { dtype: x.dtype },
      );
      const given = unflatten(
        structure,
        leaves.map((y, i) => (i === at ? larger : y)),
      ) as A;
      const wrong = `axis ${axis} of tensor ${at} has size ${n + 1} for ${n}`;
      try {
        f(...given);
      } catch (error) {
        if (error instanceof ShapeError && error.message.startsWith(`${name}: expected `)) return;
        throw new LawError(`refusesOtherSizes: expected a ShapeError of ${name} where ${wrong}, got ${error}`);
      }
      throw new LawError(`refusesOtherSizes: expected a ShapeError of ${name} where ${wrong}, got a result`);
    });
  });
}

/** Its value and the cotangents of its arguments hold no NaN and no infinity. */
export function staysFinite<A extends Args>(f: Op<A>, args: A, options: LawOptions = {}): void {
  const both = valueAndPullback(f, args, options.key ?? random.key(0));
  tensorsOf(both).forEach((x, at) => {
    const bad = x.data.findIndex((value: number) => !Number.isFinite(value));
    if (bad >= 0)
      throw new LawError(`staysFinite: expected finite numbers, got ${x.data[bad]} (tensor ${at}, element ${bad})`);
  });
}

/**
 * In the program of its value and its cotangents the largest array is at most twice as large where there are twice as many tokens:
 * nothing grows with n².
 *
 * @param argsOf - arguments for n tokens
 * @param n - how many to begin with; enough that what does not grow is not the largest. Default 200
 */
export function growsLinearly<A extends Args>(f: Op<A>, argsOf: (n: number) => A, n = 200): void {
  const largest = (count: number): number => {
    const args = argsOf(count);
    const both = (...given: A): unknown => valueAndPullback(f, given, random.key(0));
    return largestIn(trace(both)(...args));
  };
  const [small, large] = [largest(n), largest(2 * n)];
  if (large > 2 * small) {
    throw new LawError(
      `growsLinearly: expected arrays of at most ${2 * small} elements for ${2 * n} tokens, got ${large}`,
    );
  }
}

function largestIn({ equations }: Program): number {
  const sizes = ({ outs, params }: Equation): number[] => [
    ...outs.map(({ shape }) => shape.reduce((a, b) => a * b, 1)),
    ...(typeof params === "object" && params !== null && "program" in params
      ? [largestIn(params.program as Program)]
      : []),
  ];
  return Math.max(...equations.flatMap(sizes));
}
