import assert from "node:assert/strict";
import { test } from "node:test";
import {
  add,
  checkpoint,
  customVjp,
  grad,
  jit,
  jvp,
  linearize,
  mul,
  scan,
  sin,
  sum,
  type Tensor,
  tensor,
  vjp,
  vmap,
} from "@fmmformer/autodiff";

// Functions that act on each element by itself, and what each transformation makes of them. The oracle is the Taylor series of the
// function at a point: derivatives shift it, and series compose.

type Fn = (x: Tensor) => Tensor;
/** The first coefficients of the Taylor series at a point. */
type Series = (x: number) => number[];

const order = 8;
const coefficients = (f: (k: number) => number): number[] => Array.from({ length: order }, (_, k) => f(k));

const derivative =
  (f: Series): Series =>
  (x) => {
    const c = f(x);
    return coefficients((k) => (k + 1) * (c[k + 1] ?? 0));
  };
const scaled =
  (f: Series, by: number): Series =>
  (x) =>
    f(x).map((c) => c * by);
const product = (a: readonly number[], b: readonly number[]): number[] =>
  coefficients((k) => a.slice(0, k + 1).reduce((total, c, i) => total + c * b[k - i], 0));
const composed =
  (f: Series, g: Series): Series =>
  (x) => {
    const [start, ...rest] = g(x);
    let power = coefficients((k) => Number(k === 0));
    return f(start).reduce<number[]>(
      (total, c) => {
        const next = total.map((t, k) => t + c * power[k]);
        power = product(power, [0, ...rest]);
        return next;
      },
      coefficients(() => 0),
    );
  };

interface Transformation {
  readonly of: (f: Fn) => Fn;
  readonly oracle: (f: Series) => Series;
}

const identity = (f: Series): Series => f;
const direction = (x: Tensor): Tensor => mul(0.7, add(mul(x, 0), 1));

/** x f(x), its pullback by the product rule and the pullback of f. */
function timesItself(f: Fn): Fn {
  return customVjp({
    name: "timesItself",
    forward: (x: Tensor) => [mul(x, f(x)), x],
    pullback: (x, g: Tensor) => {
      const [y, pull] = vjp(f, x);
      return [add(mul(g, y), pull(mul(g, x))[0])];
    },
  });
}

const transformations: Record<string, Transformation> = {
  grad: { of: (f) => grad((x: Tensor) => sum(f(x))), oracle: derivative },
  jvp: { of: (f) => (x) => jvp(f, [x], [direction(x)])[1], oracle: (f) => scaled(derivative(f), 0.7) },
  linearize: { of: (f) => (x) => linearize(f, x)[1](direction(x)), oracle: (f) => scaled(derivative(f), 0.7) },
  vmap: { of: (f) => vmap(f), oracle: identity },
  jit: { of: (f) => jit(f), oracle: identity },
  checkpoint: { of: (f) => checkpoint(f), oracle: identity },
  scan: {
    of: (f) => (x) => scan((c: Tensor) => [f(c), null], x, null, { length: 2 })[0],
    oracle: (f) => composed(f, f),
  },
  scanInParts: {
    of: (f) => (x) => scan((c: Tensor) => [f(c), null], x, null, { length: 3, checkpoint: 2 })[0],
    oracle: (f) => composed(f, composed(f, f)),
  },
  scanRows: {
    of: (f) => (x) => scan((row: Tensor, x: Tensor) => [add(row, 1), f(x)], tensor(0, { dtype: "int32" }), x)[1],
    oracle: identity,
  },
  custom: { of: timesItself, oracle: (f) => (x) => product([x, 1, 0, 0, 0, 0, 0, 0], f(x)) },
};

const sine: Series = (x) => {
  let factorial = 1;
  return coefficients((k) => {
    factorial *= k || 1;
    return Math.sin(x + (k * Math.PI) / 2) / factorial;
  });
};

/** Those that act on the rows of what they are given. */
const mapped = ["vmap", "scanRows"];

function check(names: readonly string[]): void {
  const chosen = names.map((name) => transformations[name]);
  const shape = [2, ...names.filter((name) => mapped.includes(name)).map(() => 2)];
  const points = Float64Array.from({ length: 2 ** shape.length }, (_, i) => Math.sin(5 * i + 1));
  const x = tensor(points, { shape });
  const f = chosen.reduceRight<Fn>((inner, { of }) => of(inner), sin as Fn);
  const oracle = chosen.reduceRight<Series>((inner, { oracle: by }) => by(inner), sine);
  const y = f(x);
  points.forEach((at, i) => {
    const expected = oracle(at)[0];
    const close = Math.abs(y.data[i] - expected) <= 1e-11 * Math.max(1, Math.abs(expected));
    assert.ok(close, `${names.join(" of ")} at ${at}: expected ${expected}, got ${y.data[i]}`);
  });
}

const names = Object.keys(transformations);
const sequences = (length: number): string[][] =>
  length === 0 ? [[]] : sequences(length - 1).flatMap((rest) => names.map((name) => [...rest, name]));

for (const length of [1, 2, 3]) {
  test(`every sequence of ${length} of ${names.join(", ")} is what calculus says`, () => {
    for (const sequence of sequences(length)) check(sequence);
  });
}
