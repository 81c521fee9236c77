import type { DType } from "@fmmformer/autodiff";
import { type Atom, Dense, sizeOf, type Var } from "@fmmformer/autodiff/extend";
import { type HostNumber, type Stored, unravel, writeKernel } from "./code.ts";
import { type Formula, filled, mapped, read } from "./formula.ts";

/** One kernel of a program: what it is called, its text, what it is given and what it makes. */
export interface Step {
  /** Of whom an error speaks */
  readonly name: string;
  readonly source: string;
  readonly inputs: readonly (Stored | HostNumber)[];
  readonly output: Stored;
}

/** An array that is made on the host, once or for every run. */
export interface Constant {
  readonly stored: Stored;
  readonly values: Dense;
}

/** What rules work with. */
export interface Builder {
  /** The formula of a value. */
  formula(x: Atom): Formula;
  /** A formula of which elements may be read in any order and often, from at most two arrays: stored unless it costs next to nothing. */
  light(x: Formula): Formula;
  /** The same from one array. */
  plain(x: Formula): Formula;
  /** A formula without loops. */
  straight(x: Formula): Formula;
  store(x: Formula): Formula;
  define(variable: Var, value: Formula): void;
}

/** WebGPU gives a kernel eight arrays, of which one is the result. */
const mostArrays = 7;
/** Beyond it, several readers share what one computes. */
const cheap = 2;
/** Longer texts compile longer than they save. */
const longest = 96;
/** Numbers beyond are not whole in float32, places among them. */
const mostElements = 2 ** 24;

export function checkSize(size: number, name: string): void {
  if (size <= mostElements) return;
  throw new RangeError(
    `gpu: expected arrays of at most ${mostElements} elements, got ${size} in ${name}; use a smaller batch, checkpoint, or the wasm engine`,
  );
}

export interface Findings {
  readonly steps: readonly Step[];
  readonly constants: readonly Constant[];
}

export function createBuilder(
  readers: ReadonlyMap<Atom, number>,
): Builder & { readonly findings: Findings; name: string } {
  const steps: Step[] = [];
  const constants: Constant[] = [];
  const values = new Map<Atom, Formula>();
  /** What has been stored of a formula that others hold */
  const storedOf = new Map<Formula, Formula>();

  const store = (x: Formula): Formula => {
    if (x.stored) return x;
    const known = storedOf.get(x);
    if (known) return known;
    const size = sizeOf(x.shape);
    if (size === 0) return filled(0, x);
    const name = x.name ?? builder.name;
    checkSize(size, name);
    const { source, arguments: inputs } = writeKernel((code, i) => x.at(code, unravel(code, i, x.shape)));
    const output: Stored = { size };
    steps.push({ name, source, inputs, output });
    const result = read(output, x);
    storedOf.set(x, result);
    return result;
  };

  const constant = (x: Dense): Formula => {
    if (x.fill !== undefined) return filled(x.fill, x);
    if (x.size <= 1) return filled(x.data[0] ?? 0, x);
    checkSize(x.size, "a constant");
    const stored: Stored = { size: x.size };
    constants.push({ stored, values: x });
    return read(stored, x);
  };

  const builder: Builder & { readonly findings: Findings; name: string } = {
    name: "program",
    findings: { steps, constants },
    formula(x) {
      let value = values.get(x);
      if (!value) {
        if (!(x instanceof Dense)) throw new Error("gpu: a variable is used before it is made");
        value = constant(x);
        values.set(x, value);
      }
      if ((readers.get(x) ?? 0) > 1 && (value.cost > cheap || value.loops)) {
        value = store(value);
        values.set(x, value);
      }
      return value;
    },
    light: (x) => (x.loops || x.cost > (readsOne(x) ? 1 : 0) ? store(x) : x),
    plain: (x) => (x.loops || x.cost > 0 ? store(x) : x),
    straight: (x) => (x.loops || x.length > longest ? store(x) : x),
    store,
    define(variable, value) {
      values.set(variable, value.stored || value.name !== undefined ? value : { ...value, name: builder.name });
    },
  };
  return builder;
}

/** Whether an element takes one array, or one of many elements and one of few. */
function readsOne({ reads, shape }: Formula): boolean {
  return reads.size <= 2 && [...reads].filter(({ size }) => 8 * size > sizeOf(shape)).length <= 1;
}

/** Operands that one kernel can take together: those that read most are stored first. */
export function together(b: Builder, operands: readonly Formula[]): readonly Formula[] {
  const list = [...operands];
  const arrays = (): number => new Set(list.flatMap((x) => [...x.reads])).size;
  while (arrays() > mostArrays || list.reduce((sum, x) => sum + x.length, 0) > longest) {
    const most = Math.max(
      ...list.map((x) => (x.stored || (x.cost === 0 && x.reads.size <= 1) ? -1 : x.reads.size + x.length)),
    );
    const at = list.findIndex((x) => !x.stored && x.reads.size + x.length === most);
    if (at < 0) break;
    const stored = b.store(list[at]);
    for (const [i, x] of list.entries()) if (x === list[at] && i !== at) list[i] = stored;
    list[at] = stored;
  }
  return list;
}

/** A new value from the elements of others. */
export function map(
  b: Builder,
  out: { readonly shape: readonly number[]; readonly dtype: DType },
  operands: readonly Formula[],
  { cost, apply }: { readonly cost: number; readonly apply: Parameters<typeof mapped>[3] },
): Formula {
  const size = sizeOf(out.shape);
  // What is stretched would be computed once for each of its places.
  const ready = operands.map((x) => (sizeOf(x.shape) < size && (x.loops || x.cost > cheap) ? b.store(x) : x));
  return mapped(out, together(b, ready), cost, apply);
}
