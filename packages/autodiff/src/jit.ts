import { Tracer } from "./bind.ts";
import { type AsyncEngine, type Engine, type Executable, plain, type Stats } from "./engine.ts";
import { optimize } from "./optimize.ts";
import { evaluate, type Program } from "./program.ts";
import { stageTree } from "./stage.ts";
import { type Aval, asTensor, type Tensor } from "./tensor.ts";
import { type Args, flatten, type Structure, structureKey, unflatten } from "./tree.ts";

interface Compiled {
  readonly run: Executable<readonly Tensor[] | Promise<readonly Tensor[]>>;
  readonly result: Structure;
}

interface JitOptions {
  readonly donate?: readonly number[];
}

/** A compiled function. */
export interface Jitted<A extends Args, Y> {
  (...args: A): Y;
  /** What the program of the last call costs; null before the first, and where the engine does not tell. */
  stats(): Stats | null;
}

/**
 * Compile a function: it is traced once for each form, shape and dtype of its arguments, and its program run after that.
 *
 * Numbers among the arguments are inputs: a new value does not trace again (beside integers they count as fractions). Strings, booleans and functions are part of the form. Tensors
 * that f closes over are constants, as they were when it was traced; side effects of f happen at tracing only. Inside another
 * transformation a jitted function is the plain function.
 *
 * @param options.engine - what runs the program; default: the plain engine. An asynchronous engine gives a function that returns a promise
 * @param options.donate - arguments, by place, that are given away: an engine with memory of its own keeps the results of their form there,
 * where the next call finds them. Such a result is copied out when it is read, and must be read before it is given away in turn. A call that
 * throws, as for a label that is no class, may leave nothing of what it was given
 */
export function jit<A extends Args, Y>(
  f: (...args: A) => Y,
  options: JitOptions & { readonly engine: AsyncEngine },
): Jitted<A, Promise<Y>>;
export function jit<A extends Args, Y>(
  f: (...args: A) => Y,
  options?: JitOptions & { readonly engine?: Engine },
): Jitted<A, Y>;
export function jit(
  f: (...args: Args) => unknown,
  options: JitOptions & { readonly engine?: Engine | AsyncEngine } = {},
): Jitted<Args, unknown> {
  const { engine = plain, donate = [] } = options;
  const cache = new Map<string, Compiled>();
  let last: Compiled | undefined;
  const run = (...args: Args): unknown => {
    const { leaves, structure } = flatten(args);
    const inputs = leaves.map((x) => asTensor("jit", x));
    if (inputs.some((x) => x instanceof Tracer)) return f(...args);
    const key = `${structureKey(structure)}${inputs.map(avalKey).join()}`;
    let compiled = cache.get(key);
    if (!compiled) {
      const { program, captured, result } = stageTree("jit", f, structure, inputs);
      if (captured.length > 0) return unflatten(result, evaluate(program, [...captured, ...inputs]));
      compiled = { run: engine.compile(optimize(program), { donated: leavesOf(args, donate) }), result };
      cache.set(key, compiled);
    }
    last = compiled;
    const { result } = compiled;
    const outs = compiled.run(inputs);
    return outs instanceof Promise ? outs.then((ys) => unflatten(result, ys)) : unflatten(result, outs);
  };
  return Object.assign(run, { stats: () => last?.run.stats?.() ?? null });
}

/** Which leaves belong to the arguments at these places. */
function leavesOf(args: Args, places: readonly number[]): number[] {
  if (places.length === 0) return [];
  const bad = places.find((place) => !(place in args));
  if (bad !== undefined)
    throw new RangeError(`jit: expected donated arguments from 0 to ${args.length - 1}, got ${bad}`);
  let at = 0;
  return args.flatMap((arg, place) => {
    const leaves = flatten(arg).leaves.map(() => at++);
    return places.includes(place) ? leaves : [];
  });
}

function avalKey({ shape, dtype, weak }: Aval): string {
  return `${weak ? "number" : dtype}[${shape.join()}]`;
}

/**
 * A function that returns the program of f for given arguments instead of running it.
 *
 * @returns (…args) ↦ Program, optimized as `jit` would; `String(program)` prints it
 */
export function trace<A extends Args>(f: (...args: A) => unknown): (...args: A) => Program {
  return (...args) => {
    const { leaves, structure } = flatten(args);
    return optimize(
      stageTree(
        "trace",
        f,
        structure,
        leaves.map((x) => asTensor("trace", x)),
      ).program,
    );
  };
}
