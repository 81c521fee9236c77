import {
  type AsyncEngine,
  type Data,
  type Executable,
  flatten,
  isTensor,
  type Program,
  type Tensor,
  treeMap,
} from "@fmmformer/autodiff";
import { allocate, Dense, evaluate, noSuchRow, type Var } from "@fmmformer/autodiff/extend";
import { DonatedError, pair } from "../wasm/donation.ts";
import type { Step } from "./builder.ts";
import type { Stored } from "./code.ts";
import { type Device, type GpuMode, gpuModes, type Handle, openDevice } from "./device.ts";
import { flat } from "./flat.ts";
import { fusedOpOf } from "./fused.ts";
import { lower, type Plan } from "./lower.ts";
import { type Split, split } from "./split.ts";

export interface GpuOptions {
  /** Where kernels run; "auto" takes the first of webgpu, webgl2, webasm that runs here, and `mode` of the engine tells which */
  readonly mode?: GpuMode | "auto";
}

/** An engine on gpu.js. Compiled functions return promises. */
export interface GpuEngine extends AsyncEngine {
  /** Where kernels run; of "auto" known once something has run or `open` has returned */
  readonly mode: GpuMode | "auto";
  /** Open the device now rather than at the first run. */
  open(): Promise<GpuMode>;
  /** Copy what lies on the device, as donated state does, into tensors that can be read. */
  read<Tree>(tree: Tree): Promise<Tree>;
  /** Free everything. What still lies on the device is lost. */
  destroy(): Promise<void>;
}

/**
 * Make the engine that runs programs as gpu.js kernels: …
 */
export function gpu({ mode = "auto" }: GpuOptions = {}): GpuEngine {
  if (mode !== "auto" && !gpuModes.includes(mode)) {
    throw new RangeError(`gpu: expected mode auto, ${gpuModes.join(", ")}, got ${mode}`);
  }
  let opening: Promise<Device> | undefined;
  let opened: Device | undefined;
  const device = async (): Promise<Device> => {
    opening ??= mode === "auto" ? openFirst() : openDevice(mode);
    try {
      opened = await opening;
      return opened;
    } catch (error) {
      opening = undefined;
      throw error;
    }
  };
  return {
    name: "gpu",
    get mode() {
      return opened?.mode ?? mode;
    },
    open: async () => (await device()).mode,
    compile: (program, { donated = [] } = {}) => compile(program, donated, device),
    async read(tree) {
      const known = flatten(tree)
        .leaves.filter(isTensor)
        .flatMap((x) => residents.get(x) ?? []);
      const values = new Map<Resident, Data>();
      for (const resident of new Set(known)) values.set(resident, await fetch(resident));
      return treeMap((x) => {
        const resident = isTensor(x) ? residents.get(x) : undefined;
        return resident ? new Dense(x as Tensor, values.get(resident) as Data) : x;
      }, tree as never) as typeof tree;
    },
    async destroy() {
      if (opening) await (await opening).destroy();
    },
  };
}

async function openFirst(): Promise<Device> {
  for (const mode of ["webgpu", "webgl2"] as const) {
    try {
      return await openDevice(mode);
    } catch {}
  }
  return openDevice("webasm");
}

/** A value that lies on a device. */
interface Resident {
  readonly device: Device;
  readonly aval: Pick<Tensor, "shape" | "dtype">;
  /** Null once it was given away */
  handle: Handle | null;
}

const residents = new WeakMap<Tensor, Resident>();

async function fetch({ device, handle, aval: { dtype } }: Resident): Promise<Data> {
  if (!handle) {
    throw new DonatedError(
      "tensor: expected a value that was not given away, got one that jit took over (donate); read it before the next call",
    );
  }
  return converted(await device.read(handle), dtype);
}

function converted(values: Float32Array, dtype: Tensor["dtype"]): Data {
  if (dtype === "float32") return values;
  const data = allocate(dtype, values.length);
  data.set(values as never);
  return data;
}

interface Compiled {
  readonly flat: Program;
  readonly split: Split;
  readonly plan: Plan;
  /** For each step the arrays that nothing reads after it */
  readonly deaths: readonly (readonly Stored[])[];
}

function prepare(program: Program, pairs: ReadonlyMap<number, number>): Compiled {
  const flattened = flat(program, (call) => fusedOpOf(call) !== null);
  // An input whose successor is computed on the device will be there at the next call.
  let divided = split(flattened, (input) => pairs.has(input));
  const onHost = (output: number): boolean => {
    const y = flattened.outputs[output];
    return y instanceof Dense || divided.known.has(y);
  };
  const resident = new Set([...pairs].filter(([, output]) => !onHost(output)).map(([input]) => input));
  divided = split(flattened, (input) => resident.has(input));
  const plan = lower(flattened, divided);
  return { flat: flattened, split: divided, plan, deaths: deathsOf(plan) };
}

function deathsOf({ steps, outputs, constants }: Plan): Stored[][] {
  const alive = new Set<unknown>([...outputs, ...constants.map(({ stored }) => stored)]);
  return [...steps]
    .reverse()
    .map(({ inputs, output }: Step) => {
      const dead: Stored[] = [];
      for (const x of [...inputs, output]) {
        if ("number" in x || alive.has(x)) continue;
        alive.add(x);
        dead.push(x);
      }
      return dead;
    })
    .reverse();
}

function compile(
  program: Program,
  donated: readonly number[],
  open: () => Promise<Device>,
): Executable<Promise<readonly Tensor[]>> {
  const pairs = new Map(pair(program, donated));
  const { flat: flattened, split: divided, plan, deaths } = prepare(program, pairs);
  const inputOf = new Map([...pairs].map(([input, output]) => [output, input]));
  const constants = new Map<Stored, Handle>();
  const rows = plan.checks.flatMap((check) => {
    const root = rootOf(check.variable, flattened);
    return root >= 0 ? [{ ...check, input: root }] : [];
  });

  return async (values) => {
    const device = await open();
    for (const { stored, values: x } of plan.constants) {
      if (!constants.has(stored)) constants.set(stored, await device.write(numbersOf(x)));
    }
    const here = async (input: number): Promise<Tensor> => {
      const resident = residents.get(values[input]);
      return resident ? new Dense(values[input], await fetch(resident)) : values[input];
    };
    const given: Tensor[] = [];
    for (const input of divided.inputs) given.push(await here(input));
    for (const { input, rows: count, op } of rows) {
      const x = await here(input);
      for (const row of (x as Dense).data) if (!(row >= 0 && row < count)) throw noSuchRow(op, row, count);
    }
    const computed = evaluate(divided.host, given);
    const known = new Map<Var, Tensor>();
    for (const [i, input] of divided.inputs.entries()) known.set(flattened.inputs[input], given[i]);
    for (const [i, v] of divided.results.entries()) known.set(v, computed[i]);

    const handles = new Map<Stored, Handle>(constants);
    const borrowed = new Set<Stored>(constants.keys());
    for (const [v, stored] of plan.sent) {
      const input = flattened.inputs.indexOf(v);
      const value = known.get(v) ?? values[input];
      const resident = residents.get(value);
      if (resident?.device === device) {
        if (!resident.handle) await fetch(resident);
        handles.set(stored, resident.handle as Handle);
        borrowed.add(stored);
      } else handles.set(stored, await device.write(numbersOf(await (resident ? here(input) : value))));
    }
    const numbers = plan.numbers.map((v) => (known.get(v) as Tensor).item());
    for (const [at, { name, source, inputs, output }] of plan.steps.entries()) {
      const args = inputs.map((x) => ("number" in x ? numbers[x.number] : (handles.get(x) as Handle)));
      handles.set(output, await device.run({ name, source, size: output.size }, args));
      for (const dead of deaths[at]) {
        if (!borrowed.has(dead)) device.free(handles.get(dead) as Handle);
        handles.delete(dead);
      }
    }
    const read = new Map<Stored, Float32Array>();
    const results: Tensor[] = [];
    for (const [at, y] of plan.outputs.entries()) {
      const { shape, dtype, weak } = flattened.outputs[at];
      const aval = { shape, dtype, weak };
      if (!("size" in y && !("shape" in y))) {
        results.push(y instanceof Dense ? y : new Dense(aval, (known.get(y as Var) as Tensor).data));
        continue;
      }
      const stored = y as Stored;
      const handle = handles.get(stored) as Handle;
      const stays = inputOf.has(at) && !borrowed.has(stored) && plan.outputs.indexOf(stored) === at;
      if (stays) {
        results.push(keep({ device, aval, handle }, aval));
        continue;
      }
      const data = read.get(stored) ?? (await device.read(handle));
      read.set(stored, data);
      results.push(new Dense(aval, converted(data, dtype)));
    }
    for (const [stored, handle] of handles) {
      const kept = plan.outputs.some((y, at) => y === stored && residents.has(results[at]));
      if (!borrowed.has(stored) && !kept) device.free(handle);
    }
    for (const input of pairs.keys()) {
      const resident = residents.get(values[input]);
      if (!resident?.handle) continue;
      resident.device.free(resident.handle);
      resident.handle = null;
    }
    return results;
  };
}

function keep(resident: Resident, aval: ConstructorParameters<typeof Dense>[0]): Tensor {
  const x: Tensor = new Dense(aval, () => {
    throw new DonatedError(
      "tensor: expected a value in memory, got one that lies on the device; copy it with await engine.read(x)",
    );
  });
  residents.set(x, resident);
  return x;
}

/** The input of which a variable is a view; −1 where it is computed. */
function rootOf(variable: Var, program: Program): number {
  let x = variable;
  for (;;) {
    const equation = program.equations.find(({ outs }) => outs.includes(x));
    if (!equation) return program.inputs.indexOf(x);
    const [from] = equation.ins;
    if (!["reshape", "broadcast", "transpose", "stopGradient"].includes(equation.prim.name) || from instanceof Dense)
      return -1;
    x = from;
  }
}

/** A tensor in float32, which holds whole numbers to 2²⁴. */
function numbersOf(x: Tensor): Float32Array {
  const { data, dtype } = x as Dense;
  if (dtype === "float32") return data as Float32Array;
  if (dtype === "int32") {
    const large = (data as Int32Array).find((value) => Math.abs(value) > 2 ** 24);
    if (large !== undefined)
      throw new RangeError(`gpu: expected integers up to 2^24, got ${large}; use the wasm engine`);
  }
  return Float32Array.from(data as ArrayLike<number>);
}
