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
  /** Name a value, so that it is computed once: outside of the loops in which it does not change. */
  name(expression: string): string;
  variable(initial: string): string;
  set(variable: string, expression: string): void;
  when(condition: string, then: () => void): void;
  /** Run a body for the numbers from 0 to `count` − 1. */
  loop(count: number, body: (index: string) => void): void;
  /** The argument that stands for an array or a number. */
  argument(x: Stored | HostNumber): string;
  /** The element of an array at a place of its shape. */
  element(x: Stored, place: readonly string[], shape: readonly number[]): string;
  /** ⌊i / n⌋ and i mod n for a whole number 0 ≤ i < below. */
  divide(i: string, n: number, below: number): readonly [quotient: string, remainder: string];
  /** The flat number of a place. */
  ravel(place: readonly string[], shape: readonly number[]): string;
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

/** A line, or what is between braces. */
interface Line {
  readonly text: string;
  /** What it names */
  readonly names?: string;
  readonly block?: Block;
}

interface Block {
  readonly lines: Line[];
  /** Values by their expressions */
  readonly known: Map<string, string>;
  /** Whether it may not run at all: what is read in it stays in it, for the place may not exist */
  readonly guarded: boolean;
}

/** Write a kernel: `element` gives the value at a flat place. */
export function writeKernel(element: (code: Code, i: string) => string): Written {
  const open = (guarded: boolean): Block => ({ lines: [], known: new Map(), guarded });
  const blocks = [open(false)];
  const given = new Map<Stored | HostNumber, string>();
  /** In which block, by its depth, a name has its value; variables change in any */
  const depths = new Map<string, number>();
  /** Two numbers by what they are quotient and remainder of */
  const divided = new Map<string, string>();
  let names = 0;

  const fresh = (depth: number): string => {
    const made = `v${names++}`;
    depths.set(made, depth);
    return made;
  };
  /** The outermost block in which an expression can be computed. */
  const depthOf = (expression: string): number => {
    const inner = Math.max(0, ...namesIn(expression).map((each) => depths.get(each) as number));
    const reads = expression.includes("[");
    return reads ? Math.max(inner, blocks.map(({ guarded }) => guarded).lastIndexOf(true)) : inner;
  };
  const write = (text: string): void => {
    blocks[blocks.length - 1].lines.push({ text });
  };
  const name = (expression: string): string => {
    if (/^[\w.]+$/.test(expression)) return expression;
    for (const { known } of blocks) {
      const before = known.get(expression);
      if (before) return before;
    }
    const outermost = depthOf(expression);
    const depth = Math.min(outermost, blocks.length - 1);
    const made = fresh(depth);
    const line = { text: `const ${made} = ${expression};`, names: made };
    const { lines } = blocks[depth];
    // In front of the block that is being written.
    if (depth < blocks.length - 1) lines.splice(lines.length - 1, 0, line);
    else lines.push(line);
    if (outermost <= depth) blocks[depth].known.set(expression, made);
    return made;
  };
  const block = (text: string, guarded: boolean, body: () => void): void => {
    const inner = open(guarded);
    blocks[blocks.length - 1].lines.push({ text, block: inner });
    blocks.push(inner);
    body();
    blocks.pop();
  };
  const code: Code = {
    name,
    variable(initial) {
      const made = fresh(Number.POSITIVE_INFINITY);
      write(`let ${made} = ${initial};`);
      return made;
    },
    set: (variable, expression) => write(`${variable} = ${expression};`),
    when: (condition, then) => block(`if (${condition})`, true, then),
    loop(count, body) {
      const index = fresh(blocks.length);
      block(`for (let ${index} = 0; ${index} < ${count}; ${index}++)`, false, () => body(index));
    },
    argument(x) {
      const known = given.get(x) ?? `${"number" in x ? "s" : "a"}${given.size}`;
      given.set(x, known);
      return known;
    },
    element: (x, place, shape) => name(`${code.argument(x)}[${code.ravel(place, shape)}]`),
    divide(i, n, below) {
      if (n === 1) return [i, "0"];
      if (below <= n) return ["0", i];
      // The half keeps a division that is rounded down on the right side of a whole number.
      let quotient = name(`Math.floor((${i} + 0.5) / ${n})`);
      if (below > certain) quotient = name(`${quotient} + Math.floor((${i} - ${quotient} * ${n} + 0.5) / ${n})`);
      const remainder = name(`${i} - ${quotient} * ${n}`);
      divided.set(`${quotient},${remainder},${n}`, i);
      return [quotient, remainder];
    },
    ravel(place, shape) {
      let terms: { readonly text: string; readonly stride: number }[] = [];
      for (const [axis, n] of shape.entries()) {
        if (n === 1) continue;
        terms = terms.map(({ text, stride }) => ({ text, stride: stride * n }));
        const before = terms[terms.length - 1];
        // What was divided need not be put together again.
        const whole = before?.stride === n ? divided.get(`${before.text},${place[axis]},${n}`) : undefined;
        if (whole) terms.pop();
        terms.push({ text: whole ?? place[axis], stride: 1 });
      }
      const sorted = terms
        .filter(({ text }) => text !== "0")
        .map(({ text, stride }) => ({ text: times(text, stride), depth: Math.min(depthOf(text), blocks.length - 1) }))
        .sort((a, b) => a.depth - b.depth);
      // What does not change in a loop is added up outside.
      return sorted.reduce((sum, { text, depth }, at) => {
        const inside = at > 0 && depth > sorted[at - 1].depth;
        return plus(inside ? name(sum) : sum, text);
      }, "0");
    },
    literal(value) {
      if (Number.isFinite(value)) return value < 0 || Object.is(value, -0) ? `(-${-value})` : String(value);
      const infinity = name("Math.exp(1000 + i)");
      return Number.isNaN(value) ? `(${infinity} - ${infinity})` : value > 0 ? infinity : `(-${infinity})`;
    },
  };
  const result = element(code, "i");
  const body = ["const i = this.thread.x;", ...linesOf(blocks[0].lines, result), `return ${result};`];
  const text = renamed(body.map((line) => `  ${line}`).join("\n"));
  return { source: `function (${[...given.values()].join(", ")}) {\n${text}\n}`, arguments: [...given.keys()] };
}

/** Names numbered as they come, so that equal kernels have equal texts. */
function renamed(text: string): string {
  const names = new Map<string, string>();
  return text.replace(/\bv\d+\b/g, (name) => {
    const known = names.get(name) ?? `v${names.size}`;
    names.set(name, known);
    return known;
  });
}

function namesIn(expression: string): readonly string[] {
  return expression.match(/\bv\d+\b/g) ?? [];
}

/** The text of lines, without those whose names nothing uses. */
function linesOf(lines: readonly Line[], result: string): readonly string[] {
  const used = new Set(namesIn(result));
  const written = (some: readonly Line[], indent: string): string[] => {
    const found: string[] = [];
    for (const { text, names, block: inner } of [...some].reverse()) {
      if (names && !used.has(names)) continue;
      const inside = inner ? written(inner.lines, `${indent}  `) : [];
      for (const each of namesIn(text)) used.add(each);
      found.unshift(...(inner ? [`${indent}${text} {`, ...inside, `${indent}}`] : [indent + text]));
    }
    return found;
  };
  return written(lines, "");
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

/** Sums and products of places, as short as they can be written: WebGL takes no product of two numbers for a place. */
export function plus(a: string, b: string | number): string {
  if (isWhole(a) && isWhole(`${b}`)) return `${Number(a) + Number(b)}`;
  if (a === "0") return String(b);
  return String(b) === "0" ? a : `(${a} + ${b})`;
}

export function times(a: string, n: number): string {
  if (isWhole(a)) return `${Number(a) * n}`;
  return n === 0 ? "0" : n === 1 ? a : `${a} * ${n}`;
}

function isWhole(text: string): boolean {
  return /^\d+$/.test(text);
}
