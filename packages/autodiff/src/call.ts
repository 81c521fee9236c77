import { vmap } from "./batch.ts";
import { bind, type Cotangents, type Primitive } from "./bind.ts";
import { broadcastTo, insertAxes } from "./primitives/broadcast.ts";
import { add } from "./primitives/elementwise.ts";
import { reshape } from "./primitives/layout.ts";
import { evaluate, type Program } from "./program.ts";
import { stage } from "./stage.ts";
import { record } from "./tape.ts";
import { type Dense, type Tensor, zerosLike } from "./tensor.ts";

// A named sub-program is one equation, "call". It serves custom gradients, checkpoints and their pullbacks: an engine that has a
// kernel for it runs that, every other runs the sub-program.

/** What a call computes, over flat lists of tensors. */
export interface Callee {
  readonly name: string;
  /** Whether the name is that of a kernel, which an engine may have; default: false. */
  readonly kernel?: boolean;
  /** Static parameters, for engines and for printing. */
  readonly params: { readonly [key: string]: unknown };
  /** What the caller sees, and residuals: what the pullback wants to keep besides. */
  readonly forward: (inputs: readonly Tensor[]) => readonly [visible: readonly Tensor[], residuals: readonly Tensor[]];
  /**
   * Cotangents of the inputs that `needs` marks, from those of the visible outputs. None: the sub-program is differentiated.
   */
  readonly pullback?: (
    cts: readonly Tensor[],
    inputs: readonly Tensor[],
    outs: readonly Tensor[],
    needs: readonly boolean[],
  ) => Cotangents;
  /** Trailing axes of each input that are not batch axes, where any number of leading ones may stand in front. */
  readonly core?: readonly number[];
  /** Which inputs have outputs of their shape, as in a pullback; default: none. */
  readonly shared?: readonly boolean[];
}

/** Parameters of the call primitive. */
export interface CallParams {
  readonly callee: Callee;
  readonly program: Program;
  /** How many outputs the caller sees; the rest are residuals. */
  readonly visible: number;
}

export const callPrimitive: Primitive<CallParams> = {
  name: "call",
  shape: (_, { program }) => program.outputs.map(({ shape, dtype, weak }) => ({ shape, dtype, weak })),
  value: (args, { program }) => evaluate(program, args) as readonly Dense[],
  vjp(cts, args, outs, { callee, program, visible }, needs) {
    const { pullback } = callee;
    const direct = cts.slice(0, visible);
    const found: Cotangents =
      pullback && direct.some((g) => g !== null)
        ? callPullback({ ...callee, pullback }, direct, args, outs, needs)
        : args.map(() => null);
    // Cotangents of residuals come from differentiating a pullback: they go through the sub-program, as do all where there is no pullback.
    const through = cts.map((g, i) => (pullback && i < visible ? null : g));
    if (!through.some((g) => g !== null)) return found;
    const more = pullThrough(program, args, through, needs);
    return args.map((_, i) => sumOf(found[i], more[i]));
  },
  batch(size, args, batched, { callee, program }) {
    const { core, shared } = callee;
    if (core) {
      const { outs } = bindCall(callee, alignLeading(size, args, batched, core, shared));
      return outs.map((y, i) => reshape(y, [size, ...program.outputs[i].shape]));
    }
    return bindCall(
      vmapped(callee),
      args.map((x, i) => (batched[i] ? x : broadcastTo(x, [size, ...x.shape]))),
    ).outs;
  },
  label: ({ callee }) => callee.name,
  show: ({ callee }) =>
    Object.entries(callee.params)
      .map(([key, value]) => `${key}: ${showParam(value)}`)
      .join(", "),
};

function showParam(x: unknown): string {
  if (Array.isArray(x))
    return x.every((v) => typeof v === "boolean") ? x.map(Number).join("") : `[${x.map(showParam).join(" ")}]`;
  if (typeof x === "object" && x !== null && "name" in x) return String(x.name);
  return typeof x === "function" ? x.name || "function" : typeof x === "object" ? JSON.stringify(x) : String(x);
}

/** Run or record one call. */
export function call(callee: Callee, inputs: readonly Tensor[]): readonly Tensor[] {
  const { params, outs } = bindCall(callee, inputs);
  return outs.slice(0, params.visible);
}

function bindCall(
  callee: Callee,
  inputs: readonly Tensor[],
): { readonly params: CallParams; readonly outs: readonly Tensor[] } {
  let visible = 0;
  const { program, captured } = stage(
    callee.name,
    (xs) => {
      const [seen, residuals] = callee.forward(xs);
      visible = seen.length;
      return [...seen, ...residuals];
    },
    inputs,
  );
  if (captured.length > 0) {
    throw new TypeError(
      `${callee.name}: expected all traced values among the arguments, got one from outside; pass it as an argument`,
    );
  }
  const params = { callee, program, visible };
  return { params, outs: bind(callPrimitive, inputs, params) };
}

/** The pullback of a call as a call: inputs, outputs and cotangents of the visible outputs in, the needed cotangents out. */
function callPullback(
  { name, kernel, params, pullback, core }: Callee & Required<Pick<Callee, "pullback">>,
  direct: Cotangents,
  args: readonly Tensor[],
  outs: readonly Tensor[],
  needs: readonly boolean[],
): Cotangents {
  const cts = direct.map((g, i) => g ?? zerosLike(outs[i]));
  let given: readonly number[] = [];
  const forward: Callee["forward"] = (inputs) => {
    const [xs, ys, gs] = [
      inputs.slice(0, args.length),
      inputs.slice(args.length, -cts.length),
      inputs.slice(-cts.length),
    ];
    const found = pullback(gs, xs, ys, needs);
    given = found.flatMap((g, i) => (g !== null && needs[i] ? [i] : []));
    return [given.map((i) => found[i] as Tensor), []];
  };
  const inputs = [...args, ...outs, ...cts];
  const pulled = call(
    {
      name: `${name}.pullback`,
      ...(kernel && { kernel }),
      params: { ...params, needs },
      forward,
      ...(core && { core: coreOf(inputs, [...core], args), shared: needs }),
    },
    inputs,
  );
  const found: (Tensor | null)[] = args.map(() => null);
  given.forEach((i, at) => {
    found[i] = pulled[at];
  });
  return found;
}

/** Core ranks of all inputs of a pullback: those of the arguments are given, the rest have the full number of leading axes. */
function coreOf(inputs: readonly Tensor[], core: readonly number[], args: readonly Tensor[]): readonly number[] {
  const leading = Math.max(...args.map((x, i) => x.shape.length - core[i]));
  return inputs.map((x, i) => core[i] ?? x.shape.length - leading);
}

/** Differentiate a program as it stands. */
export function pullThrough(
  program: Program,
  args: readonly Tensor[],
  cts: Cotangents,
  needs: readonly boolean[],
): Cotangents {
  return record((inputs) => evaluate(program, inputs), args, needs).pull(cts);
}

/** The sum of two cotangents, either of which may be none. */
export function sumOf(a: Tensor | null | undefined, b: Tensor | null | undefined): Tensor | null {
  return a && b ? add(a, b) : (a ?? b ?? null);
}

/** A callee on a batch of all its inputs, the batch axis in front of each. */
function vmapped(callee: Callee): Callee {
  const { params, forward, pullback } = callee;
  const depth = typeof params.vmapped === "number" ? params.vmapped : 0;
  return {
    ...callee,
    params: { ...params, vmapped: depth + 1 },
    forward: vmap(forward),
    ...(pullback && {
      pullback: (cts, inputs, outs, needs) =>
        vmap((g: typeof cts, x: typeof inputs, y: typeof outs) => pullback(g, x, y, needs))(cts, inputs, outs),
    }),
  };
}

/**
 * Give inputs one more leading axis: batched ones have it in front already and get axes of size 1 behind it where they have fewer leading
 * axes than others; those with all leading axes or an output of their shape are repeated; the rest broadcast as they are.
 */
function alignLeading(
  size: number,
  args: readonly Tensor[],
  batched: readonly boolean[],
  core: readonly number[],
  shared: readonly boolean[] = [],
): readonly Tensor[] {
  const leading = args.map((x, i) => x.shape.length - core[i] - (batched[i] ? 1 : 0));
  const most = Math.max(...leading);
  return args.map((x, i) => {
    if (!batched[i] && leading[i] < most && !shared[i]) return x;
    return insertAxes(batched[i] ? x : broadcastTo(x, [size, ...x.shape]), 1 + most + core[i]);
  });
}
