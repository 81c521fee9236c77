// The text of a kernel in the making. gpu.js compiles one JavaScript function, which runs once for each element of the result; it reads the
// function's text, which transpilers and minifiers would rewrite: hence strings.

/** An array on the device, row-major. Two are the same only if they are one object. */
export interface Stored {
  readonly size: number;
}

/** A number that is computed on the host and given to kernels as an argument. */
export interface HostNumber {
  /** Which, among the numbers of a program */
  readonly number: number;
}

/** What a kernel is written with: statements are added, expressions are text. */
export interface Code {
  /** Name a value, so that it is computed once. */
  name(expression: string): string;
  variable(initial: string): string;
  set(variable: string, expression: string): void;
  when(condition: string, then: () => void): void;
  /** Run a body for the numbers from 0 to `count` − 1. */
  loop(count: number, body: (index: string) => void): void;
  /** The argument that stands for an array or a number. */
  argument(x: Stored | HostNumber): string;
  /** ⌊i / n⌋ and i mod n for a whole number 0 ≤ i < below. */
  divide(i: string, n: number, below: number): readonly [quotient: string, remainder: string];
  /** A number as text; infinities and NaN too, which gpu.js has no literals for. */
  literal(value: number): string;
}

/** A kernel's text, and what its arguments stand for. */
export interface Written {
  readonly source: string;
  readonly arguments: readonly (Stored | HostNumber)[];
}

/** From here on a quotient can be off by one where a driver rounds divisions as it likes. */
const certain = 2 ** 20;

/** Write a kernel: `element` gives the value at a flat place. */
export function writeKernel(element: (code: Code, i: string) => string): Written {
  const lines: string[] = ["const i = this.thread.x;"];
  const given = new Map<Stored | HostNumber, string>();
  let names = 0;
  let infinity: string | undefined;

  const name = (expression: string): string => {
    if (/^\w+$/.test(expression)) return expression;
    const made = `v${names++}`;
    lines.push(`const ${made} = ${expression};`);
    return made;
  };
  const block = (head: string, body: () => void): void => {
    lines.push(`${head} {`);
    body();
    lines.push("}");
  };
  const code: Code = {
    name,
    variable(initial) {
      const made = `v${names++}`;
      lines.push(`let ${made} = ${initial};`);
      return made;
    },
    set: (variable, expression) => {
      lines.push(`${variable} = ${expression};`);
    },
    when: (condition, then) => block(`if (${condition})`, then),
    loop(count, body) {
      const index = `v${names++}`;
      block(`for (let ${index} = 0; ${index} < ${count}; ${index}++)`, () => body(index));
    },
    argument(x) {
      const known = given.get(x) ?? `${"number" in x ? "s" : "a"}${given.size}`;
      given.set(x, known);
      return known;
    },
    divide(i, n, below) {
      if (n === 1) return [i, "0"];
      if (below <= n) return ["0", i];
      // The half keeps a division that is rounded down on the right side of a whole number.
      const q = name(`Math.floor((${i} + 0.5) / ${n})`);
      if (below <= certain) return [q, name(`${i} - ${q} * ${n}`)];
      const exact = name(`${q} + Math.floor((${i} - ${q} * ${n} + 0.5) / ${n})`);
      return [exact, name(`${i} - ${exact} * ${n}`)];
    },
    literal(value) {
      if (Number.isFinite(value)) return value < 0 || Object.is(value, -0) ? `(-${-value})` : String(value);
      if (!infinity) {
        infinity = `v${names++}`;
        lines.splice(1, 0, `const ${infinity} = Math.exp(1000 + i);`);
      }
      return Number.isNaN(value) ? `(${infinity} - ${infinity})` : value > 0 ? infinity : `(-${infinity})`;
    },
  };
  const result = element(code, "i");
  const body = [...lines, `return ${result};`].map((line) => `  ${line}`).join("\n");
  return { source: `function (${[...given.values()].join(", ")}) {\n${body}\n}`, arguments: [...given.keys()] };
}

/** The axes of a place from its flat number. */
export function unravel(code: Code, i: string, shape: readonly number[]): string[] {
  const place = new Array<string>(shape.length).fill("0");
  let rest = i;
  let below = shape.reduce((a, b) => a * b, 1);
  for (let axis = shape.length - 1; axis >= 0 && below > 1; axis--) {
    if (shape[axis] === 1) continue;
    [rest, place[axis]] = code.divide(rest, shape[axis], below);
    below /= shape[axis];
  }
  return place;
}

/** The flat number of a place. */
export function ravel(place: readonly string[], shape: readonly number[]): string {
  let flat = "0";
  for (const [axis, n] of shape.entries()) if (n !== 1) flat = plus(times(flat, n), place[axis]);
  return flat;
}

/** Sums and products of places, as short as they can be written. */
export function plus(a: string, b: string | number): string {
  if (a === "0") return String(b);
  return String(b) === "0" ? a : `(${a} + ${b})`;
}

export function times(a: string, n: number): string {
  return a === "0" || n === 0 ? "0" : n === 1 ? a : `${a} * ${n}`;
}
