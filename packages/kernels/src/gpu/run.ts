import type { Program, Tensor } from "@fmmformer/autodiff";
import { Dense, evaluate, type Var } from "@fmmformer/autodiff/extend";
import type { Stored } from "./code.ts";
import type { Device, Handle } from "./device.ts";
import type { Plan } from "./lower.ts";
import { constantOn, converted, fetched, handleOf, numbersOf, onDevice, release, residentOf } from "./resident.ts";
import { checkRows, type RowNumbers } from "./row-numbers.ts";
import type { Split } from "./split.ts";

/** A program that is ready to run. */
export interface Compiled {
  readonly program: Program;
  readonly split: Split;
  readonly plan: Plan;
  readonly rowNumbers: RowNumbers;
  /** The results that stay on the device, each with the input that is given away for it */
  readonly pairs: readonly (readonly [input: number, output: number])[];
}

/** Run a program: the host's part, then the kernels in order, each array freed behind its last reader. */
export async function run(
  { program, split, plan, pairs, rowNumbers }: Compiled,
  values: readonly Tensor[],
  device: Device,
): Promise<readonly Tensor[]> {
  checkRows(rowNumbers, await Promise.all(rowNumbers.inputs.map((input) => fetched(values[input]))));
  const known = await knownBefore(program, split, values);
  const handles = new Map<Stored, Handle>();
  /** What others hold: it is not freed here */
  const borrowed = new Set<Stored>();
  const borrow = (stored: Stored, handle: Handle): void => {
    handles.set(stored, handle);
    borrowed.add(stored);
  };
  const drop = (stored: Stored): void => {
    if (!borrowed.has(stored)) device.free(handles.get(stored) as Handle);
    handles.delete(stored);
  };
  try {
    for (const { stored, values: x } of plan.constants) borrow(stored, await constantOn(device, x));
    for (const { variable, input, stored } of plan.sent) {
      const x = known.get(variable) ?? values[input];
      const resident = residentOf(x);
      if (resident?.device === device) borrow(stored, handleOf(resident));
      else handles.set(stored, await device.write(numbersOf(await fetched(x))));
    }
    const numbers = plan.numbers.map((v) => (known.get(v) as Tensor).item());
    for (const { name, source, inputs, output, dead } of plan.steps) {
      const given = inputs.map((x) => ("number" in x ? numbers[x.number] : (handles.get(x) as Handle)));
      handles.set(output, await device.run({ name, source, size: output.size }, given));
      for (const x of dead) drop(x);
    }
    const results = await resultsOf({ program, plan, pairs }, { known, handles, borrowed }, device);
    for (const [input] of pairs) {
      const resident = residentOf(values[input]);
      if (resident) release(resident);
    }
    return results;
  } finally {
    for (const stored of handles.keys()) drop(stored);
  }
}

/** Results as tensors: those that stay on the device, and copies of the others. */
async function resultsOf(
  { program, plan, pairs }: Pick<Compiled, "program" | "plan" | "pairs">,
  { known, handles, borrowed }: { known: Map<Var, Tensor>; handles: Map<Stored, Handle>; borrowed: Set<Stored> },
  device: Device,
): Promise<Tensor[]> {
  const staying = new Set(pairs.map(([, output]) => output));
  const read = new Map<Stored, Float32Array>();
  const results: Tensor[] = [];
  const kept: Stored[] = [];
  for (const [at, y] of plan.outputs.entries()) {
    const { shape, dtype, weak } = program.outputs[at];
    const aval = { shape, dtype, weak };
    if (y instanceof Dense) results.push(y);
    else if (!isStored(y)) results.push(new Dense(aval, (known.get(y) as Tensor).data));
    else if (staying.has(at) && !borrowed.has(y) && !kept.includes(y)) {
      results.push(onDevice({ device, dtype, handle: handles.get(y) as Handle }, aval));
      kept.push(y);
    } else {
      const numbers = read.get(y) ?? (await device.read(handles.get(y) as Handle));
      read.set(y, numbers);
      results.push(new Dense(aval, converted(numbers, dtype)));
    }
  }
  for (const stored of kept) borrowed.add(stored); // they belong to their tensors from here on
  return results;
}

/** The values that the host has or computes before the kernels run. */
async function knownBefore(
  program: Program,
  { host, inputs, results }: Split,
  values: readonly Tensor[],
): Promise<Map<Var, Tensor>> {
  const given = await Promise.all(inputs.map((input) => fetched(values[input])));
  const known = new Map<Var, Tensor>();
  for (const [i, input] of inputs.entries()) known.set(program.inputs[input], given[i]);
  for (const [i, y] of evaluate(host, given).entries()) known.set(results[i], y);
  return known;
}

function isStored(x: Stored | Var): x is Stored {
  return "size" in x && !("shape" in x);
}
