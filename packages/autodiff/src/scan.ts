import { vmap } from "./batch.ts";
import { bind, type Cotangents, type Primitive } from "./bind.ts";
import { pullThrough, sumOf } from "./call.ts";
import { allocate, isFloat } from "./dtype.ts";
import { ShapeError, showShape } from "./errors.ts";
import { broadcastTo } from "./primitives/broadcast.ts";
import { castPrimitive } from "./primitives/cast.ts";
import { moveAxis, reshape } from "./primitives/layout.ts";
import { alongAxis, concat } from "./primitives/window.ts";
import { evaluate, type Program } from "./program.ts";
import { checkCount, sameShape, sizeOf } from "./shape.ts";
import { stage, stageTree } from "./stage.ts";
import { type Aval, asTensor, Dense, type Scalar, type Tensor, zerosLike } from "./tensor.ts";
import { flatten, type Structure, structureKey, unflatten } from "./tree.ts";

/** A loop: inputs are constants, first carries and stacks of per-step inputs; outputs last carries, stacks of results, saved carries. */
export interface ScanParams {
  /** (constants, carries, step inputs) → (carries, step results) */
  readonly program: Program;
  readonly constants: number;
  readonly carries: number;
  readonly length: number;
  readonly reverse: boolean;
  /** Whether the carries that each step began with are stacked as extra outputs. */
  readonly save: boolean;
}

export const scanPrimitive: Primitive<ScanParams> = {
  name: "scan",
  shape(args, { program, constants, carries, length, save }) {
    const results = program.outputs.map(({ shape, dtype, weak }, i) => ({
      shape: i < carries ? shape : [length, ...shape],
      dtype,
      weak,
    }));
    const stacked = (x: Aval): Aval => ({ shape: [length, ...x.shape], dtype: x.dtype, weak: x.weak });
    return save ? [...results, ...args.slice(constants, constants + carries).map(stacked)] : results;
  },
  value(args, { program, constants, carries, length, reverse, save }, outs) {
    const fixed = args.slice(0, constants);
    const steps = args.slice(constants + carries);
    let state: readonly Dense[] = args.slice(constants, constants + carries);
    const stacks = outs.slice(carries).map((aval) => new Dense(aval, allocate(aval.dtype, sizeOf(aval.shape))));
    for (let k = 0; k < length; k++) {
      const t = reverse ? length - 1 - k : k;
      const results = evaluate(program, [...fixed, ...state, ...steps.map((x) => step(x, t))]) as readonly Dense[];
      const row = save ? [...results.slice(carries), ...state] : results.slice(carries);
      for (const [i, y] of row.entries()) stacks[i].data.set(y.data, t * y.size);
      state = results.slice(0, carries);
    }
    return [...state, ...stacks];
  },
  saving: (params) => ({ ...params, save: true }),
  vjp: pullScan,
  batch: batchScan,
  show: ({ length, reverse }) => `${length} steps${reverse ? ", reverse" : ""}`,
};

/** Row t of a stack, sharing its storage. */
function step(x: Dense, t: number): Dense {
  const shape = x.shape.slice(1);
  const size = sizeOf(shape);
  return new Dense({ shape, dtype: x.dtype, weak: x.weak }, x.fill ?? x.data.subarray(t * size, (t + 1) * size));
}

type Maybe = Tensor | null;

/**
 * The loop run the other way. Its carry holds the cotangents of the forward carry and the sums of those of the constants; each step
 * computes its body again from the carry that it began with.
 */
function pullScan(
  cts: Cotangents,
  args: readonly Tensor[],
  outs: readonly Tensor[],
  { program, constants, carries, length, reverse }: ScanParams,
  needs: readonly boolean[],
): Cotangents {
  const parts = <T>(xs: readonly T[]): readonly T[][] => [
    xs.slice(0, constants),
    xs.slice(constants, constants + carries),
    xs.slice(constants + carries),
  ];
  const [fixed, initial, steps] = parts(args);
  const results = program.outputs.length;
  // Every float carry takes part, since later steps hand it cotangents.
  const wanted = args.map((x, i) => isFloat(x.dtype) && (needs[i] || (i >= constants && i < constants + carries)));
  const startOf = (x: Tensor, i: number, g: Maybe | undefined): Maybe => (wanted[i] ? (g ?? zerosLike(x)) : null);

  const init = {
    state: initial.map((x, i) => startOf(x, constants + i, cts[i])),
    fixed: fixed.map((x, i) => startOf(x, i, null)),
  };
  const xs = {
    steps,
    begun: outs.slice(results),
    results: cts.slice(carries, results),
    begunCts: cts.slice(results),
  };
  const back = (carry: typeof init, step: typeof xs): readonly [typeof init, Maybe[]] => {
    const values = [...fixed, ...step.begun, ...step.steps];
    const found = pullThrough(program, values, [...carry.state, ...step.results], wanted);
    const [ofFixed, ofState, ofSteps] = parts(values.map((x, i) => (wanted[i] ? (found[i] ?? zerosLike(x)) : null)));
    return [
      {
        state: ofState.map((g, i) => sumOf(g, step.begunCts[i])),
        fixed: ofFixed.map((g, i) => sumOf(g, carry.fixed[i])),
      },
      ofSteps,
    ];
  };
  const [last, ofSteps] = scan(back, init, xs, { length, reverse: !reverse });
  return [...last.fixed, ...last.state, ...ofSteps];
}

/** One loop over batched steps: every carry becomes batched, constants and step inputs only where they are. */
function batchScan(
  size: number,
  args: readonly Tensor[],
  batched: readonly boolean[],
  params: ScanParams,
): readonly Tensor[] {
  const { program, constants, carries } = params;
  const kind = (i: number): "constant" | "carry" | "step" =>
    i < constants ? "constant" : i < constants + carries ? "carry" : "step";
  const values = args.map((x, i) => {
    if (kind(i) === "carry") return batched[i] ? x : broadcastTo(x, [size, ...x.shape]);
    return kind(i) === "step" && batched[i] ? moveAxis(x, 0, 1) : x;
  });
  const mapped = args.map((_, i) => (batched[i] || kind(i) === "carry" ? 0 : null));
  const body = vmap((...xs: readonly Tensor[]) => evaluate(program, xs), { in: mapped });
  const shapes = values.map((x, i) => ({
    shape: kind(i) === "step" ? x.shape.slice(1) : x.shape,
    dtype: x.dtype,
    weak: x.weak,
  }));
  const { program: batch } = stage("scan", (xs) => body(...xs), shapes);
  const outs = bind(scanPrimitive, values, { ...params, program: batch });
  return outs.map((y, i) => (i < carries ? y : moveAxis(y, 1, 0)));
}

/** How a scan runs. */
export interface ScanOptions {
  /** The number of steps, where there are no step inputs to tell it. */
  readonly length?: number;
  /** From the last step to the first. */
  readonly reverse?: boolean;
  /** Keep only every so many carries for the backward pass and compute the others again: memory for time. */
  readonly checkpoint?: number;
}

/**
 * Loop with a state: `[carry, y_t] = f(carry, x_t)` for every t, as one equation.
 *
 * The carry must keep its form, shapes and dtypes. The backward pass keeps the carries and computes each step again.
 *
 * @param f - (carry, x) ↦ [carry, y]; staged, so it cannot branch on values
 * @param init - the first carry, a tree
 * @param xs - a tree of tensors whose first axes are the steps, or null with `length`
 * @returns `[carry, ys]`: the last carry, and the results of the steps stacked
 * @throws ShapeError when the steps differ in number, TypeError when f changes the form of the carry
 */
export function scan<C, X, Y>(
  f: (carry: C, x: X) => readonly [C, Y],
  init: C,
  xs: X,
  options: ScanOptions = {},
): [C, Y] {
  const length = stepsOf(xs, options.length);
  const every = options.checkpoint ?? 0;
  checkCount("scan", "length", length);
  checkCount("scan", "checkpoint", every);
  if (every > 1 && every < length) return scanInParts(f, init, xs, { ...options, length, checkpoint: every });
  const first = flatten(init);
  const steps = flatten(xs);
  const stacks = steps.leaves.map((x) => asTensor("scan", x));
  const stepShapes = stacks.map((x) => ({ shape: x.shape.slice(1), dtype: x.dtype, weak: x.weak }));
  const structure: Structure = { kind: "array", items: [first.structure, steps.structure] };

  let carry = first.leaves.map((x) => asTensor("scan", x));
  let staged = stageTree("scan", f as (...args: never) => unknown, structure, [...carry, ...stepShapes]);
  const strong = carry.map((x, i) => adopt(x, staged.program.outputs[i]));
  if (strong.some((x, i) => x !== carry[i])) {
    carry = strong;
    staged = stageTree("scan", f as (...args: never) => unknown, structure, [...carry, ...stepShapes]);
  }
  const { program, captured, result } = staged;
  checkCarry(result, first.structure, carry, program);

  const outs = bind(scanPrimitive, [...captured, ...carry, ...stacks], {
    program,
    constants: captured.length,
    carries: carry.length,
    length,
    reverse: options.reverse ?? false,
    save: false,
  });
  return unflatten(result, outs.slice(0, program.outputs.length)) as [C, Y];
}

function stepsOf(xs: unknown, length: number | undefined): number {
  const lengths = flatten(xs).leaves.map((x) => asTensor("scan", x).shape[0]);
  const n = length ?? lengths[0];
  if (n === undefined) throw new ShapeError("scan: expected step inputs or a length, got neither; give { length }");
  const other = lengths.find((m) => m !== n);
  if (lengths.includes(undefined as never) || other !== undefined)
    throw new ShapeError(`scan: expected ${n} steps in every input, got ${other}`);
  return n;
}

/** A number as first carry takes the dtype that the steps give it. */
function adopt(x: Tensor, y: Aval | undefined): Tensor {
  return y && x.weak && !y.weak && sameShape(x.shape, y.shape)
    ? bind(castPrimitive, [x], { dtype: y.dtype, weak: false })[0]
    : x;
}

function checkCarry(result: Structure, expected: Structure, carry: readonly Tensor[], program: Program): void {
  const form = (s: Structure): string => structureKey(s).replaceAll("#", "*");
  if (result.kind !== "array" || result.items.length !== 2)
    throw new TypeError("scan: expected f to return [carry, y], got something else");
  if (form(result.items[0]) !== form(expected)) {
    throw new TypeError(
      `scan: expected f to keep the form ${form(expected)} of the carry, got ${form(result.items[0])}`,
    );
  }
  carry.forEach((x, i) => {
    const y = program.outputs[i];
    if (!sameShape(x.shape, y.shape))
      throw new ShapeError(
        `scan: expected f to keep the carry's shape ${showShape(x.shape)}, got ${showShape(y.shape)}`,
      );
    if (x.dtype !== y.dtype)
      throw new TypeError(`scan: expected f to keep the carry's dtype ${x.dtype}, got ${y.dtype}; cast it`);
  });
}

/** A scan over scans: the outer one keeps the carry in front of each part, the inner ones are computed again. */
function scanInParts<C, X, Y>(
  f: (carry: C, x: X) => readonly [C, Y],
  init: C,
  xs: X,
  options: ScanOptions & { readonly length: number; readonly checkpoint: number },
): [C, Y] {
  const { length, checkpoint: every, reverse = false } = options;
  const parts = Math.floor(length / every);
  const rest = length - parts * every;
  const whole = parts * every;
  const cut = (tree: X, g: (x: Tensor) => Tensor): X => mapLeaves(tree, g);
  // The odd steps lie at the end of the sequence, which a reversed scan meets first.
  const odd = (carry: C): [C, Y] | null =>
    rest === 0
      ? null
      : scan(
          f,
          carry,
          cut(xs, (x) => alongAxis(x, 0, whole, length)),
          { reverse, length: rest },
        );
  const even = (carry: C): [C, Y] => {
    const chunks = cut(xs, (x) => reshape(alongAxis(x, 0, 0, whole), [parts, every, ...x.shape.slice(1)]));
    const [last, ys] = scan((c: C, chunk: X) => scan(f, c, chunk, { reverse, length: every }), carry, chunks, {
      reverse,
      length: parts,
    });
    return [last, mapLeaves(ys, (y) => reshape(y, [whole, ...y.shape.slice(2)]))];
  };
  if (reverse) {
    const tail = odd(init);
    const [last, ys] = even(tail ? tail[0] : init);
    return [last, tail ? join(ys, tail[1]) : ys];
  }
  const [carry, ys] = even(init);
  const tail = odd(carry);
  return tail ? [tail[0], join(ys, tail[1])] : [carry, ys];
}

function mapLeaves<T>(tree: T, g: (x: Tensor) => Tensor): T {
  const { leaves, structure } = flatten(tree);
  return unflatten(
    structure,
    leaves.map((x: Scalar) => g(asTensor("scan", x))),
  ) as T;
}

function join<Y>(a: Y, b: Y): Y {
  const { leaves, structure } = flatten(a);
  const others = flatten(b).leaves as Tensor[];
  return unflatten(
    structure,
    leaves.map((x, i) => concat([x as Tensor, others[i]])),
  ) as Y;
}
