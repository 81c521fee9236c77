import { type Aval, type Data, flatten, isTensor, type Tensor, treeMap } from "@fmmformer/autodiff";
import { allocate, Dense } from "@fmmformer/autodiff/extend";
import { DonatedError, givenAway } from "../donation.ts";
import type { Device, Handle } from "./device.ts";

// Tensors whose numbers lie on a device: state that jit was given (donate) stays there between calls, and so do copies of constants.

/** Where the numbers of a tensor lie. */
export interface Resident {
  readonly device: Device;
  readonly dtype: Tensor["dtype"];
  /** Null once it was given away */
  handle: Handle | null;
}

const residents = new WeakMap<Tensor, Resident>();

/** Tensors that nobody has any longer give back what they stood for. */
const forgotten = new FinalizationRegistry<Resident>(release);

export function residentOf(x: Tensor): Resident | undefined {
  return residents.get(x);
}

/** A tensor that stands for what lies on a device. */
export function onDevice(resident: Resident, aval: Aval): Tensor {
  const x: Tensor = new Dense(aval, () => {
    throw new DonatedError(
      "tensor: expected a value in memory, got one that lies on the device; copy it with await engine.read(x)",
    );
  });
  residents.set(x, resident);
  forgotten.register(x, resident);
  return x;
}

const copies = new WeakMap<Device, WeakMap<Tensor, Promise<Handle>>>();

/** The copy of a constant on a device: made once, and there as long as the constant is. */
export async function constantOn(device: Device, x: Tensor): Promise<Handle> {
  const known = copies.get(device) ?? new WeakMap<Tensor, Promise<Handle>>();
  copies.set(device, known);
  const made = known.get(x);
  if (made) return made;
  const making = device.write(numbersOf(x));
  known.set(x, making);
  try {
    const handle = await making;
    forgotten.register(x, { device, dtype: x.dtype, handle });
    return handle;
  } catch (error) {
    known.delete(x);
    throw error;
  }
}

/** The array itself. */
export function handleOf({ handle }: Resident): Handle {
  if (handle) return handle;
  throw givenAway();
}

/** Free what was given away. */
export function release(resident: Resident): void {
  if (resident.handle) resident.device.free(resident.handle);
  resident.handle = null;
}

/** The same tensor with its numbers in memory. */
export async function fetched(x: Tensor): Promise<Tensor> {
  const resident = residents.get(x);
  if (!resident) return x;
  return new Dense(x, converted(await resident.device.read(handleOf(resident)), resident.dtype));
}

/** The same tree with all numbers in memory. */
export async function fetchedTree<Tree>(tree: Tree): Promise<Tree> {
  const found = new Map<unknown, Tensor>();
  for (const x of flatten(tree).leaves) if (isTensor(x) && !found.has(x)) found.set(x, await fetched(x));
  return treeMap((x) => found.get(x) ?? x, tree as never) as Tree;
}

/** What a device holds, which is float32, in a dtype. */
export function converted(values: Float32Array, dtype: Tensor["dtype"]): Data {
  if (dtype === "float32") return values;
  const data = allocate(dtype, values.length);
  data.set(values as never);
  return data;
}

/** A tensor as a device holds it: float32, in which integers are whole to 2²⁴. */
export function numbersOf(x: Tensor): Float32Array {
  const { data, dtype } = x;
  if (dtype === "float32") return data as Float32Array;
  if (dtype === "int32") {
    const large = (data as Int32Array).find((value) => Math.abs(value) > 2 ** 24);
    if (large !== undefined) {
      throw new RangeError(`gpu: expected integers up to 2^24, got ${large}; use the wasm engine`);
    }
  }
  return Float32Array.from(data as ArrayLike<number>);
}
