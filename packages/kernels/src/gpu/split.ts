import { DTypeError, type Program, Program as ProgramOf, showShape } from "@fmmformer/autodiff";
import { type Atom, Dense, type Equation, sizeOf, type Var } from "@fmmformer/autodiff/extend";

// Kernels have float32 alone: no doubles, no 32-bit integers, no shifts. What needs them (random bits, schedules in float64) is made of
// small things that are known before a run, and is computed on the host. So is everything else that is small and known.

/** Elements that are cheaper to compute than to send. */
const small = 4;

export interface Split {
  /** Which variables have their values before the kernels run */
  readonly known: ReadonlySet<Var>;
  /** Computes, from the inputs at `inputs`, the variables of `results` */
  readonly host: Program;
  readonly inputs: readonly number[];
  readonly results: readonly Var[];
  /** What kernels compute */
  readonly device: readonly Equation[];
}

/** Divide a program. `resident` tells which inputs lie on the device. */
export function split(program: Program, resident: (input: number) => boolean): Split {
  const must = new Set<Atom>();
  for (const equation of [...program.equations].reverse()) {
    if (isHostOnly(equation) || equation.outs.some((v) => must.has(v))) for (const x of equation.ins) must.add(x);
  }
  const known = new Set<Atom>();
  const wide = new Set<Atom>();
  program.inputs.forEach((v, i) => {
    if (must.has(v) || v.dtype === "float64" || (!resident(i) && sizeOf(v.shape) <= small)) known.add(v);
  });
  const isKnown = (x: Atom): boolean => x instanceof Dense || known.has(x);
  const hosted: Equation[] = [];
  const device: Equation[] = [];
  for (const equation of program.equations) {
    const { ins, outs } = equation;
    const needed = isHostOnly(equation) || outs.some((v) => must.has(v)) || ins.some((x) => wide.has(x));
    const light =
      outs.every((v) => sizeOf(v.shape) <= small) && ins.every((x) => x instanceof Dense || sizeOf(x.shape) <= 64);
    const double = outs.some((v) => v.dtype === "float64" && sizeOf(v.shape) > small);
    if ((needed && !ins.every(isKnown)) || double) throw refuse(equation);
    if (!needed && !(light && ins.every(isKnown))) {
      device.push(equation);
      continue;
    }
    hosted.push(equation);
    for (const v of outs) {
      known.add(v);
      if (isWide(equation, v) || (v.dtype === "int32" && ins.some((x) => wide.has(x)))) wide.add(v);
    }
  }
  const wanted = new Set<Atom>([...device.flatMap(({ ins }) => ins), ...program.outputs]);
  const results = hosted.flatMap(({ outs }) => outs.filter((v) => wanted.has(v)));
  const inputs = [...program.inputs.keys()].filter((i) => known.has(program.inputs[i]));
  const host = new ProgramOf(
    inputs.map((i) => program.inputs[i]),
    hosted,
    results,
  );
  return { known: known as ReadonlySet<Atom> as ReadonlySet<Var>, host, inputs, results, device };
}

function isHostOnly({ prim, outs }: Equation): boolean {
  return prim.name === "randomBits" || outs.some((v) => v.dtype === "float64");
}

/** Whole numbers that float32 cannot hold. */
function isWide({ prim, params }: Equation, { shape }: Var): boolean {
  return prim.name === "randomBits" && (params as { bits: number }).bits > 24 && sizeOf(shape) > small;
}

function refuse({ prim, outs: [y] }: Equation): Error {
  return new DTypeError(
    `gpu: expected float32 on the device, got ${y.dtype} ${showShape(y.shape)} from ${prim.name}; ` +
      "cast to float32, or draw random numbers from a key that is an input",
  );
}
