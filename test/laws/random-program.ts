import {
  abs,
  add,
  argmax,
  broadcastTo,
  cast,
  checkpoint,
  concat,
  cumsum,
  div,
  equal,
  exp,
  expandDims,
  flip,
  floor,
  grad,
  isFloat,
  less,
  lessEqual,
  matmul,
  max,
  maximum,
  minimum,
  mod,
  mul,
  neg,
  pad,
  random,
  reshape,
  scan,
  sigmoid,
  sign,
  sin,
  slice,
  softmax,
  sqrt,
  sub,
  sum,
  swapAxes,
  type Tensor,
  take,
  tanh,
  tensor,
  transpose,
  where,
  zeros,
} from "@fmmformer/autodiff";
import { LawError } from "@fmmformer/kernels/laws";
import fc from "fast-check";

// Random programs of every kind of op that engines plan by themselves, for law 8. Whole numbers say what an op does; they are read
// modulo what is possible at that point, so that every list of them is a program and shrinks to a shorter one.

interface Draw {
  readonly op: number;
  /** Which value, counted from the latest */
  readonly of: number;
  readonly with: number;
  readonly how: number;
}

export interface RandomProgram {
  readonly sizes: readonly [number, number, number];
  readonly seed: number;
  readonly draws: readonly Draw[];
  /** Which values are results, besides the last: every so many-th */
  readonly every: number;
}

/** A value, and what is known of it before it is computed. */
interface Value {
  readonly x: Tensor;
  /** No larger than this: what a rounding error is measured by */
  readonly bound: number;
  /** Computed without rounding, or with the same on every engine: only such a value may be branched on */
  readonly exact: boolean;
}

const small = fc.constantFrom(1, 2, 3, 4, 5, 6, 7, 8);

/** Most programs are small; some have an axis of several units of work, in front or behind. */
const sizes = fc.oneof(
  { arbitrary: fc.tuple(small, small, small), weight: 8 },
  { arbitrary: fc.tuple(fc.constantFrom(1, 3), small, fc.constantFrom(130, 515, 2050)), weight: 1 },
  { arbitrary: fc.tuple(fc.constantFrom(300, 1027), small, fc.constantFrom(1, 5)), weight: 1 },
);

export const programs: fc.Arbitrary<RandomProgram> = fc.record({
  sizes,
  seed: fc.nat(1e6),
  draws: fc.array(
    fc.record({
      op: fc.nat(10000),
      of: fc.oneof(fc.nat(2), fc.nat(40)),
      with: fc.nat(40),
      how: fc.nat(2 ** 30),
    }),
    { minLength: 1, maxLength: 40, size: "max" },
  ),
  every: fc.constantFrom(1, 2, 3, 5, 8),
});

/** The arguments of a random program: floats of the dtype given, whole numbers, truths. */
export function argumentsOf({ sizes: [a, b, c], seed }: RandomProgram, dtype: "float32" | "float64"): Tensor[] {
  let state = seed + 1;
  const drawn = (shape: readonly number[], most: number): Int32Array =>
    Int32Array.from({ length: shape.reduce((n, m) => n * m, 1) }, () => {
      state = (state * 48271) % 2147483647;
      return (state % (2 * most + 1)) - most;
    });
  const floats = (...shape: number[]): Tensor =>
    tensor(
      Float64Array.from(drawn(shape, 2000), (k) => k / 1000),
      { shape, dtype },
    );
  const whole = (...shape: number[]): Tensor => tensor(drawn(shape, 9), { shape });
  return [floats(a, b, c), floats(b, c), floats(c, b), floats(a, 1, c), whole(a, b, c), less(floats(b, 1), 0)];
}

const largest = 30_000;

/** The results of a random program, with the bounds that their rounding errors are measured by. */
export function run(
  { draws, every }: RandomProgram,
  args: readonly Tensor[],
): { readonly results: readonly Tensor[]; readonly bounds: readonly number[] } {
  const values = args.map((x): Value => ({ x, bound: isFloat(x.dtype) ? 2 : 9, exact: true }));
  for (const draw of draws) {
    const made = apply(values, draw);
    if (made && made.x.size <= largest) values.push(tamed(made));
  }
  const kept = values.filter((_, i) => i >= args.length && (i === values.length - 1 || i % every === 0));
  const found = kept.length > 0 ? kept : values.slice(0, 1);
  return { results: found.map(({ x }) => x), bounds: found.map(({ bound }) => bound) };
}

/** Kept small, so that rounding errors are. */
function tamed(value: Value): Value {
  const { x, bound, exact } = value;
  if (bound <= 50) return value;
  if (x.dtype === "int32") return { x: mod(x, 7), bound: 7, exact };
  const factor = 2 ** -Math.ceil(Math.log2(bound / 2));
  return { x: mul(x, factor), bound: bound * factor, exact };
}

function apply(values: readonly Value[], draw: Draw): Value | null {
  let { how } = draw;
  const pick = (n: number): number => {
    const found = how % n;
    how = Math.floor(how / n);
    return found;
  };
  const from = <T>(list: readonly T[], at: number): T => list[list.length - 1 - (at % list.length)];
  const value = from(values, draw.of);
  const partners = values.filter((y) => meets(value.x.shape, y.x.shape));
  if (partners.length === 0) return null; // too large even for itself
  return ops[draw.op % ops.length](value, { pick, values, partner: from(partners, draw.with) });
}

interface Choice {
  /** A number below n */
  readonly pick: (n: number) => number;
  readonly values: readonly Value[];
  /** A value that broadcasts against the first */
  readonly partner: Value;
}

function meets(a: readonly number[], b: readonly number[]): boolean {
  const rank = Math.max(a.length, b.length);
  const at = (shape: readonly number[], axis: number): number => shape[shape.length - rank + axis] ?? 1;
  let n = 1;
  for (let axis = 0; axis < rank; axis++) {
    const [x, y] = [at(a, axis), at(b, axis)];
    if (x !== y && x !== 1 && y !== 1) return false;
    n *= Math.max(x, y);
  }
  return n <= largest;
}

type Op = (value: Value, choice: Choice) => Value | null;

/** A layout: the same numbers elsewhere. */
const layout =
  (f: (x: Tensor, choice: Choice) => Tensor | null): Op =>
  (value, choice) => {
    const x = f(value.x, choice);
    return x && { ...value, x };
  };

const smooth =
  (f: (x: Tensor) => Tensor, boundOf: (bound: number) => number): Op =>
  ({ x, bound }) =>
    isFloat(x.dtype) ? { x: f(x), bound: boundOf(bound), exact: false } : null;

const numeric = (op: Op): Op => {
  return (value, choice) => (value.x.dtype === "bool" || choice.partner.x.dtype === "bool" ? null : op(value, choice));
};

const two = (
  f: (x: Tensor, y: Tensor) => Tensor,
  boundOf: (a: number, b: number) => number,
  needs: "any" | "exact",
): Op =>
  numeric((a, { partner: b }) => {
    const exact = a.exact && b.exact;
    return needs === "exact" && !exact ? null : { x: f(a.x, b.x), bound: boundOf(a.bound, b.bound), exact };
  });

function axesOf({ shape }: Tensor, mask: number): number[] {
  return shape.flatMap((_, axis) => (mask & (1 << axis) ? [axis] : []));
}

function product(list: readonly number[]): number {
  return list.reduce((n, m) => n * m, 1);
}

const reduceSum: Op = ({ x, bound, exact }, { pick }) => {
  if (x.dtype === "bool") return null;
  const axis = axesOf(x, 1 + pick(2 ** x.shape.length));
  const y = sum(x, { axis, keepDims: pick(2) === 1 });
  return { x: y, bound: bound * Math.max(1, product(axis.map((a) => x.shape[a]))), exact: exact && !isFloat(x.dtype) };
};

const reduceMax: Op = (value, { pick }) => {
  const { x, exact } = value;
  if (!exact || x.dtype === "bool" || x.shape.length === 0) return null;
  return { ...value, x: max(x, { axis: axesOf(x, 1 + pick(2 ** x.shape.length - 1)), keepDims: pick(2) === 1 }) };
};

/** Another shape of the same size: that of another value, or any. */
const reshaped = layout((x, { pick, values }) => {
  const others = values.map((y) => y.x.shape).filter((shape) => product(shape) === x.size);
  if (pick(3) > 0) return reshape(x, others[pick(others.length)]);
  const shape: number[] = [];
  let left = x.size;
  for (let divisor = 2; left > 1 && shape.length < 4; divisor++) {
    while (left % divisor === 0 && shape.length < 4) {
      left /= divisor;
      if (pick(2) === 0 || shape.length === 0) shape.push(divisor);
      else shape[shape.length - 1] *= divisor;
    }
    if (divisor > 50) break;
  }
  shape.push(left);
  return reshape(x, pick(2) === 0 ? shape : shape.reverse());
});

const transposed = layout((x, { pick }) => {
  const left = x.shape.map((_, axis) => axis);
  const axes = x.shape.map(() => left.splice(left.length - 1 - pick(left.length), 1)[0]);
  return transpose(x, axes);
});

const cut = layout((x, { pick }) => {
  const starts = x.shape.map((n) => (pick(2) === 0 ? 0 : pick(n)));
  const limits = x.shape.map((n, axis) => (pick(2) === 0 ? n : starts[axis] + 1 + pick(n - starts[axis])));
  return slice(x, starts, limits, { strides: x.shape.map(() => 1 + (pick(2) === 0 ? 0 : pick(3))) });
});

const stretched = layout((x, { pick }) => {
  if (x.shape.length > 4) return null;
  const axis = pick(x.shape.length + 1);
  const n = 2 + pick(2);
  return broadcastTo(expandDims(x, axis), [...x.shape.slice(0, axis), n, ...x.shape.slice(axis)]);
});

const padded = layout((x, { pick }) =>
  pad(
    x,
    x.shape.map(() => (pick(2) === 0 ? [0, 0] : [pick(3), pick(2)])),
    { value: pick(2) },
  ),
);

const turned = layout((x, { pick }) => (x.shape.length > 0 ? flip(x, { axis: pick(x.shape.length) }) : null));

const joined: Op = (a, { pick, values }) => {
  const rank = a.x.shape.length;
  if (rank === 0) return null;
  const axis = pick(rank);
  const fitting = values.filter(
    ({ x }) =>
      x.dtype === a.x.dtype &&
      x.shape.length === rank &&
      x.shape.every((n, other) => other === axis || n === a.x.shape[other]),
  );
  const b = fitting[pick(fitting.length)];
  return {
    x: concat([a.x, b.x, a.x], { axis }),
    bound: Math.max(a.bound, b.bound),
    exact: a.exact && b.exact,
  };
};

/** A product of matrices; half of them with a row added, which the kernel does while it writes. */
const multiplied: Op = (a, { pick, values }) => {
  if (!isFloat(a.x.dtype) || a.x.shape.length < 2) return null;
  const k = a.x.shape[a.x.shape.length - 1];
  const lead = a.x.shape.slice(0, -2);
  const fitting = values.filter(
    ({ x: { shape, dtype } }) =>
      dtype === a.x.dtype && shape.length >= 2 && shape[shape.length - 2] === k && meets(lead, shape.slice(0, -2)),
  );
  const b = fitting.length > 0 ? fitting[pick(fitting.length)] : { ...a, x: swapAxes(a.x, -2, -1) };
  if (a.x.size * b.x.shape[b.x.shape.length - 1] > 300_000) return null;
  const y = matmul(a.x, b.x);
  if (y.size > largest) return null;
  const bound = k * a.bound * b.bound;
  if (pick(2) === 0) return { x: y, bound, exact: false };
  const bias = reshape(slice(b.x, new Array(b.x.shape.length - 1).fill(-1)), [b.x.shape[b.x.shape.length - 1]]);
  return { x: add(y, bias), bound: bound + b.bound, exact: false };
};

const chosen: Op = (a, { pick, partner: b, values }) => {
  const conditions = values.filter(({ x }) => x.dtype === "bool" && meets(x.shape, a.x.shape));
  if (conditions.length === 0) return null;
  const { x: condition } = conditions[pick(conditions.length)];
  if (a.x.dtype === "bool" || b.x.dtype === "bool") return null;
  if (!meets(condition.shape, b.x.shape)) return null;
  return { x: where(condition, a.x, b.x), bound: Math.max(a.bound, b.bound), exact: a.exact && b.exact };
};

const compared: Op = (a, { pick, partner: b }) => {
  if (!a.exact || !b.exact) return null;
  return { x: [less, lessEqual, equal][pick(3)](a.x, b.x), bound: 1, exact: true };
};

const recast: Op = (value, { pick, values }) => {
  const { x, exact } = value;
  const float = values[0].x.dtype;
  if (x.dtype === "bool") return { x: cast(x, pick(2) === 0 ? float : "int32"), bound: 1, exact };
  if (x.dtype === "int32") return { ...value, x: cast(x, float) };
  if (exact && pick(2) === 0) return { ...value, x: cast(floor(mul(x, 3)), "int32"), bound: 3 * value.bound + 1 };
  return float === "float64" ? null : { ...value, x: cast(x, x.dtype === "float32" ? "float64" : "float32") };
};

const rowsTaken: Op = (value, { pick }) => {
  const { x } = value;
  if (x.shape.length === 0) return null;
  const axis = pick(x.shape.length);
  const n = x.shape[axis];
  return { ...value, x: take(x, tensor(Int32Array.from([pick(n), n - 1, pick(n), 0]), { shape: [2, 2] }), { axis }) };
};

const summedUp: Op = ({ x, bound, exact }, { pick }) => {
  if (x.shape.length === 0 || x.dtype === "bool") return null;
  const axis = pick(x.shape.length);
  return {
    x: cumsum(x, { axis, reverse: pick(2) === 1 }),
    bound: bound * x.shape[axis],
    exact: exact && !isFloat(x.dtype),
  };
};

const softened: Op = ({ x, bound }) =>
  isFloat(x.dtype) && x.shape.length > 0 ? { x: softmax(x), bound: 1 + bound, exact: false } : null;

/** A loop over the first axis, with a row from outside and two carries that change places. */
const looped: Op = (a, { pick }) => {
  const { x, bound } = a;
  if (x.shape.length < 2 || !isFloat(x.dtype)) return null;
  const row = flip(reshape(slice(x, [-1]), x.shape.slice(1)), { axis: -1 });
  const init: [Tensor, Tensor] = [sin(row), row];
  const body = ([u, v]: [Tensor, Tensor], y: Tensor): [[Tensor, Tensor], Tensor] => [
    [v, tanh(add(mul(u, 0.5), y))],
    mul(add(u, row), sum(y)),
  ];
  const [[last], ys] = scan(pick(2) === 0 ? body : checkpoint(body), init, slice(x, [0], [Math.min(x.shape[0], 9)]), {
    reverse: pick(2) === 1,
  });
  const scale = 2 * (1 + bound);
  return pick(2) === 0
    ? { x: last, bound: scale, exact: false }
    : { x: ys, bound: 2 * scale * bound * product(x.shape.slice(1)), exact: false };
};

const ops: readonly Op[] = [
  smooth(tanh, (a) => a),
  smooth(
    (x) => exp(neg(mul(x, x))),
    (a) => 1 + a,
  ),
  smooth(
    (x) => sigmoid(sin(x)),
    (a) => 1 + a,
  ),
  smooth(
    (x) => sqrt(add(1, mul(x, x))),
    (a) => 1 + a,
  ),
  smooth(
    checkpoint((x: Tensor) => sin(tanh(x))),
    (a) => a,
  ),
  softened,
  two(add, (a, b) => a + b, "any"),
  two(add, (a, b) => a + b, "any"),
  two(sub, (a, b) => a + b, "any"),
  two(mul, (a, b) => a * b, "any"),
  two(mul, (a, b) => a * b, "any"),
  two(
    (x, y) => (isFloat(x.dtype) && isFloat(y.dtype) ? div(x, add(1, mul(y, y))) : mul(x, y)),
    (a, b) => a * (1 + b * b),
    "any",
  ),
  two(maximum, Math.max, "exact"),
  two(minimum, Math.max, "exact"),
  (value) => (value.exact && value.x.dtype !== "bool" ? { ...value, x: abs(value.x) } : null),
  (value) => (value.exact && value.x.dtype !== "bool" ? { ...value, x: sign(value.x), bound: 1 } : null),
  chosen,
  compared,
  recast,
  reduceSum,
  reduceSum,
  reduceMax,
  reshaped,
  reshaped,
  reshaped,
  transposed,
  transposed,
  cut,
  stretched,
  padded,
  turned,
  joined,
  multiplied,
  multiplied,
  rowsTaken,
  summedUp,
  looped,
  (value, { pick }) => {
    const { x, exact } = value;
    if (!exact || x.shape.length === 0 || x.dtype === "bool") return null;
    return { x: argmax(x, { axis: pick(x.shape.length) }), bound: 1, exact };
  },
];

/** What a program is to give on an engine, and how closely: its results, and the gradients of a sum of them. */
export interface Case {
  readonly op: (...xs: Tensor[]) => readonly Tensor[];
  readonly wanted: readonly Tensor[];
  readonly tolerances: readonly number[];
}

export function casesOf(
  program: RandomProgram,
  dtype: "float32" | "float64",
): { args: Tensor[]; cases: readonly Case[] } {
  const args = argumentsOf(program, dtype);
  const f = (...xs: Tensor[]): readonly Tensor[] => run(program, xs).results;
  const floats = args.filter((x) => isFloat(x.dtype)).length;
  const back = (...xs: Tensor[]): readonly Tensor[] =>
    grad((ys: readonly Tensor[]) => weighted(f(...ys, ...xs.slice(floats)), dtype))(xs.slice(0, floats));

  const epsilon = dtype === "float32" ? 1e-5 : 1e-12;
  const { results, bounds } = run(program, args);
  const gradients = back(...args);
  let steepest = 1;
  for (const { data } of gradients) for (const g of data) steepest = Math.max(steepest, Math.abs(g));
  const cases = [
    { op: f, wanted: results, tolerances: bounds.map((bound) => epsilon * bound) },
    { op: back, wanted: gradients, tolerances: gradients.map(() => 100 * epsilon * steepest) },
  ];
  return { args, cases };
}

/** A sum of all results with random weights: one number to differentiate. */
function weighted(results: readonly Tensor[], dtype: "float32" | "float64"): Tensor {
  return results
    .filter((y) => isFloat(y.dtype))
    .map((y, at) => sum(mul(y, random.normal(random.key(at), y.shape, { dtype }))))
    .reduce((total, y) => add(total, y), zeros([], { dtype }));
}

/** Whether numbers are the same up to a tolerance for each tensor, by default none. */
export function compare(found: readonly Tensor[], wanted: readonly Tensor[], tolerances: readonly number[]): void {
  wanted.forEach((y, at) => {
    const x = found[at];
    if (`${x.dtype} ${x.shape}` !== `${y.dtype} ${y.shape}`)
      throw new LawError(`got ${x.dtype} ${x.shape} (result ${at})`);
    const tolerance = isFloat(y.dtype) ? (tolerances[at] ?? 0) : 0;
    for (let i = 0; i < y.size; i++) {
      const [a, b] = [x.data[i], y.data[i]];
      if (Object.is(a, b) || Math.abs(a - b) <= tolerance) continue;
      throw new LawError(`expected ${b} ± ${tolerance}, got ${a} (result ${at}, element ${i} of ${y.shape})`);
    }
  });
}
