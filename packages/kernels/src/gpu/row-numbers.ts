import { type Program, Program as ProgramOf, type Tensor, take, trace } from "@fmmformer/autodiff";
import {
  type Atom,
  bind,
  type CallParams,
  callPrimitive,
  Dense,
  type Equation,
  evaluate,
  noSuchRow,
  type ScanParams,
  scanPrimitive,
  type Var,
} from "@fmmformer/autodiff/extend";

// A kernel cannot throw: a row that does not exist is NaN there. The host throws instead, as the value rules of gather and scatterAdd do. It
// computes, before a run, the row numbers that are made of integers alone, also those that only feed what no kernel needs.

/** The row numbers that a program uses, as far as they are made of integers. */
export interface RowNumbers {
  /** Computes them from the inputs at `inputs` */
  readonly program: Program;
  readonly inputs: readonly number[];
  /** What uses each of them, and how many rows there are */
  readonly uses: readonly Use[];
}

interface Use {
  readonly op: string;
  readonly rows: number;
}

/** Null where it is not made of integers alone */
type Maybe = Tensor | null;
type Tell = (numbers: Tensor, use: Use) => void;

/** Find the row numbers of a program whose calls are not written out yet: what they do not need is still there. */
export function rowNumbersOf(given: Program): RowNumbers {
  const uses: Use[] = [];
  const all = (...inputs: readonly Tensor[]): Tensor[] => {
    const found: Tensor[] = [];
    const tell: Tell = (numbers, use) => {
      found.push(numbers);
      uses.push(use);
    };
    follow(given, inputs, tell);
    return found;
  };
  const { inputs, equations, outputs } = trace(all)(...given.inputs.map((v) => new Dense(v, 0)));
  const read = new Set<Atom>([...equations.flatMap(({ ins }) => ins), ...outputs]);
  const needed = [...inputs.keys()].filter((i) => read.has(inputs[i]));
  const program = new ProgramOf(
    needed.map((i) => inputs[i]),
    equations,
    outputs,
  );
  return { program, inputs: needed, uses };
}

/** @throws RangeError where there is no such row */
export function checkRows({ program, uses }: RowNumbers, inputs: readonly Tensor[]): void {
  for (const [i, { data }] of evaluate(program, inputs).entries()) {
    const { op, rows } = uses[i];
    for (const row of data) if (!(row >= 0 && row < rows)) throw noSuchRow(op, row, rows);
  }
}

const rowOps: Readonly<Record<string, string>> = { gather: "take", scatterAdd: "scatterAdd" };

/** Run a program on what is made of integers. */
function follow(program: Program, inputs: readonly Maybe[], tell: Tell): readonly Maybe[] {
  const values = new Map<Atom, Maybe>();
  const read = (x: Atom): Maybe => (x instanceof Dense ? x : (values.get(x) ?? null));
  const define = (variables: readonly Var[], results: readonly Maybe[]): void => {
    for (const [i, v] of variables.entries()) values.set(v, isWhole(v) ? results[i] : null);
  };
  define(program.inputs, inputs);
  for (const equation of program.equations) {
    const ins = equation.ins.map(read);
    const [table] = equation.ins;
    const op = rowOps[equation.prim.name];
    if (op && ins[1]) tell(ins[1], { op, rows: table.shape[0] });
    define(equation.outs, resultsOf(equation, ins, tell));
  }
  return program.outputs.map(read);
}

function resultsOf({ prim, params, outs }: Equation, ins: readonly Maybe[], tell: Tell): readonly Maybe[] {
  if (prim === (callPrimitive as Equation["prim"])) return follow((params as CallParams).program, ins, tell);
  if (prim === (scanPrimitive as Equation["prim"])) return carriesOf(params as ScanParams, ins, tell);
  return outs.every(isWhole) && ins.every((x) => x !== null) ? bind(prim, ins, params) : [];
}

/** The last carries of a loop, round by round as it becomes kernels. */
function carriesOf(params: ScanParams, ins: readonly Maybe[], tell: Tell): readonly Maybe[] {
  const { program, constants, carries, length, reverse } = params;
  const fixed = ins.slice(0, constants);
  const steps = ins.slice(constants + carries);
  let state = ins.slice(constants, constants + carries);
  for (let k = 0; k < length; k++) {
    const t = reverse ? length - 1 - k : k;
    const own = steps.map((x) => x && take(x, t));
    state = follow(program, [...fixed, ...state, ...own], tell).slice(0, carries);
  }
  return state;
}

function isWhole({ dtype }: Var): boolean {
  return dtype === "int32" || dtype === "bool";
}
