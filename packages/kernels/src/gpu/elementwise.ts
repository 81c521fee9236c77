import type { Code } from "./code.ts";

// Elementwise primitives as text. Built-in functions are used where every mode has them right; others are written out, with polynomials
// where a driver's own function is coarse: near 1 a logarithm may be wrong by 2⁻²¹, a sine by 2⁻¹¹, and the logarithm of 0 is −88 in one.

export interface ElementwiseRule {
  /** About how many operations it takes */
  readonly cost: number;
  readonly apply: (code: Code, ...operands: readonly string[]) => string;
}

const simple = (apply: (...operands: readonly string[]) => string): ElementwiseRule => ({
  cost: 1,
  apply: (_, ...operands) => apply(...operands),
});
const function_ = (cost: number, apply: ElementwiseRule["apply"]): ElementwiseRule => ({
  cost,
  // Functions use their operands several times.
  apply: (code, ...operands) => apply(code, ...operands.map((x) => code.name(x))),
});

function polynomial(x: string, coefficients: readonly number[]): string {
  return coefficients
    .reduceRight((rest, c) => (rest === "" ? `${c}` : `(${c} + ${x} * ${rest})`), "")
    .replace(/\+ -/g, "- ");
}

/** e^x − 1: its series near 0, where the difference would lose digits. */
function expm1(x: string): string {
  const series = polynomial(x, [1, 1 / 2, 1 / 6, 1 / 24, 1 / 120, 1 / 720, 1 / 5040, 1 / 40320, 1 / 362880]);
  return `(Math.abs(${x}) < 0.7 ? ${x} * ${series} : Math.exp(${x}) - 1)`;
}

/** ln(1 + x) for −0.4 < x < 0.6: twice the area tangent of x / (2 + x). */
function log1pNear(code: Code, x: string): string {
  const s = code.name(`${x} / (2 + ${x})`);
  const square = code.name(`${s} * ${s}`);
  return code.name(`2 * ${s} * ${polynomial(square, [1, 1 / 3, 1 / 5, 1 / 7, 1 / 9, 1 / 11, 1 / 13])}`);
}

/** −∞ at 0, NaN below and of NaN. */
function log(code: Code, x: string): string {
  const near = log1pNear(code, code.name(`${x} > 0.6 && ${x} < 1.6 ? ${x} - 1 : 0`));
  const value = code.variable(code.literal(Number.NaN));
  code.when(`${x} > 0`, () => code.set(value, `Math.log(${x})`));
  code.when(`${x} > 0.6 && ${x} < 1.6`, () => code.set(value, near));
  code.when(`${x} === 0`, () => code.set(value, code.literal(-Infinity)));
  return value;
}

function log1p(code: Code, x: string): string {
  const near = log1pNear(code, code.name(`${x} > -0.4 && ${x} < 0.6 ? ${x} : 0`));
  const far = log(code, code.name(`1 + ${x}`));
  return `(${x} > -0.4 && ${x} < 0.6 ? ${near} : ${far})`;
}

function tanh(code: Code, x: string): string {
  const e = code.name(expm1(code.name(`-2 * Math.abs(${x})`)));
  return `(${x} < 0 ? ${e} / (2 + ${e}) : -${e} / (2 + ${e}))`;
}

function sigmoid(code: Code, x: string): string {
  const e = code.name(`Math.exp(-Math.abs(${x}))`);
  return `((${x} < 0 ? ${e} : 1) / (1 + ${e}))`;
}

function softplus(code: Code, x: string): string {
  return `(Math.max(${x}, 0) + ${log1p(code, code.name(`Math.exp(-Math.abs(${x}))`))})`;
}

/**
 * The error function: its series to 0.84, and beyond one less a Chebyshev fit of the tail, to 1.2 · 10⁻⁷ of it.
 *
 * @see Press, Teukolsky, Vetterling, Flannery (1992), Numerical recipes in C, §6.2
 */
function erf(code: Code, x: string): string {
  const a = code.name(`Math.abs(${x})`);
  const square = code.name(`${x} * ${x}`);
  const series = [0, 1, 2, 3, 4, 5, 6, 7, 8, 9].map((n) => {
    let factorial = 1;
    for (let k = 2; k <= n; k++) factorial *= k;
    return (n % 2 ? -2 : 2) / Math.sqrt(Math.PI) / (factorial * (2 * n + 1));
  });
  const t = code.name(`1 / (1 + 0.5 * ${a})`);
  const fit = polynomial(
    t,
    [
      -1.26551223, 1.00002368, 0.37409196, 0.09678418, -0.18628806, 0.27886807, -1.13520398, 1.48851587, -0.82215223,
      0.17087277,
    ],
  );
  const tail = code.name(`${t} * Math.exp(${fit} - ${square})`);
  return `(${a} < 0.84 ? ${x} * ${polynomial(square, series)} : (${x} < 0 ? ${tail} - 1 : 1 - ${tail}))`;
}

/** Sine of x + turns · π/2: quarter turns taken off in three parts, then a series. */
function sine(turns: 0 | 1): ElementwiseRule["apply"] {
  return (code, x) => {
    const k = code.name(`Math.floor(${x} * ${2 / Math.PI} + 0.5)`);
    const r = code.name(`((${x} - ${k} * 1.5703125) - ${k} * 0.0004837512969970703) - ${k} * 7.549790126404332e-8`);
    const square = code.name(`${r} * ${r}`);
    const s = code.name(`${r} * ${polynomial(square, [1, -1 / 6, 1 / 120, -1 / 5040, 1 / 362880])}`);
    const c = code.name(polynomial(square, [1, -1 / 2, 1 / 24, -1 / 720, 1 / 40320]));
    const quarter = code.name(`${k} + ${turns} - 4 * Math.floor((${k} + ${turns} + 0.5) / 4)`);
    const odd = code.name(`${quarter} - 2 * Math.floor((${quarter} + 0.5) / 2)`);
    return `((${odd} > 0.5 ? ${c} : ${s}) * (${quarter} > 1.5 ? -1 : 1))`;
  };
}

function pow(code: Code, x: string, y: string): string {
  const value = code.variable(`Math.pow(Math.abs(${x}), ${y})`);
  const half = code.name(`Math.floor(${y} * 0.5)`);
  code.when(`${x} < 0 && ${y} - 2 * ${half} === 1`, () => code.set(value, `-${value}`));
  code.when(`${x} < 0 && Math.floor(${y}) < ${y}`, () => code.set(value, code.literal(Number.NaN)));
  code.when(`${x} === 0 && ${y} > 0`, () => code.set(value, "0"));
  code.when(`${x} === 0 && ${y} < 0`, () => code.set(value, code.literal(Infinity)));
  code.when(`${y} === 0`, () => code.set(value, "1"));
  return value;
}

/** x − y ⌊x/y⌋, put right where a quotient was rounded over a whole number; `byZero` where y is 0. */
function mod(byZero: number): ElementwiseRule {
  return function_(6, (code, x, y) => {
    const rest = code.variable(code.literal(byZero));
    code.when(`${y} !== 0`, () => {
      code.set(rest, `${x} - ${y} * Math.floor(${x} / ${y})`);
      code.when(`${rest} * ${y} < 0`, () => code.set(rest, `${rest} + ${y}`));
      code.when(`Math.abs(${rest}) >= Math.abs(${y})`, () => code.set(rest, `${rest} - ${y}`));
    });
    return rest;
  });
}

export const modOfIntegers: ElementwiseRule = mod(0);

export const elementwise: Readonly<Record<string, ElementwiseRule>> = {
  neg: simple((x) => `(-${x})`),
  exp: { cost: 4, apply: (_, x) => `Math.exp(${x})` },
  log: function_(8, log),
  log1p: function_(12, log1p),
  expm1: function_(8, (_, x) => expm1(x)),
  sqrt: { cost: 2, apply: (_, x) => `Math.sqrt(${x})` },
  tanh: function_(8, tanh),
  sigmoid: function_(6, sigmoid),
  softplus: function_(16, softplus),
  erf: function_(16, erf),
  sin: function_(12, sine(0)),
  cos: function_(12, sine(1)),
  abs: simple((x) => `Math.abs(${x})`),
  sign: simple((x) => `Math.sign(${x})`),
  floor: simple((x) => `Math.floor(${x})`),
  add: simple((x, y) => `(${x} + ${y})`),
  sub: simple((x, y) => `(${x} - ${y})`),
  mul: simple((x, y) => `(${x} * ${y})`),
  div: simple((x, y) => `(${x} / ${y})`),
  pow: function_(8, pow),
  maximum: simple((x, y) => `Math.max(${x}, ${y})`),
  minimum: simple((x, y) => `Math.min(${x}, ${y})`),
  mod: mod(Number.NaN),
  equal: simple((x, y) => `(${x} === ${y} ? 1 : 0)`),
  less: simple((x, y) => `(${x} < ${y} ? 1 : 0)`),
  lessEqual: simple((x, y) => `(${x} <= ${y} ? 1 : 0)`),
  where: simple((c, x, y) => `(${c} !== 0 ? ${x} : ${y})`),
};
