import { Tracer } from "./bind.ts";
import { type AsyncEngine, type Engine, plain } from "./engine.ts";
import { optimize } from "./optimize.ts";
import { evaluate, type Program } from "./program.ts";
import { stageTree } from "./stage.ts";
import { type Aval, asTensor, type Tensor } from "./tensor.ts";
import { type Args, flatten, type Structure, structureKey, unflatten } from "./tree.ts";

interface Compiled {
  readonly run: (inputs: readonly Tensor[]) => readonly Tensor[] | Promise<readonly Tensor[]>;
  readonly result: Structure;
}

/**
 * Compile a function: it is traced once for each form, shape and dtype of its arguments, and its program run after that.
 *
 * Numbers among the arguments are inputs: a new value does not trace again (beside integers they count as fractions). Strings, booleans and functions are part of the form. Tensors
 * that f closes over are constants, as they were when it was traced; side effects of f happen at tracing only. Inside another
 * transformation a jitted function is the plain function.
 *
 * @param options.engine - what runs the program; default: the plain engine. An asynchronous engine gives a function that returns a promise
 */
export function jit<A extends Args, Y>(
  f: (...args: A) => Y,
  options: { readonly engine: AsyncEngine },
): (...args: A) => Promise<Y>;
export function jit<A extends Args, Y>(f: (...args: A) => Y, options?: { readonly engine?: Engine }): (...args: A) => Y;
export function jit(
  f: (...args: Args) => unknown,
  options: { readonly engine?: Engine | AsyncEngine } = {},
): (...args: Args) => unknown {
  const engine = options.engine ?? plain;
  const cache = new Map<string, Compiled>();
  return (...args) => {
    const { leaves, structure } = flatten(args);
    const inputs = leaves.map((x) => asTensor("jit", x));
    if (inputs.some((x) => x instanceof Tracer)) return f(...args);
    const key = `${structureKey(structure)}${inputs.map(avalKey).join()}`;
    let compiled = cache.get(key);
    if (!compiled) {
      const { program, captured, result } = stageTree("jit", f, structure, inputs);
      if (captured.length > 0) return unflatten(result, evaluate(program, [...captured, ...inputs]));
      compiled = { run: engine.compile(optimize(program)), result };
      cache.set(key, compiled);
    }
    const { result } = compiled;
    const outs = compiled.run(inputs);
    return outs instanceof Promise ? outs.then((ys) => unflatten(result, ys)) : unflatten(result, outs);
  };
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
