import {
  type Aval,
  type Data,
  type Engine,
  type Executable,
  FmmformerError,
  type Program,
  type Tensor,
} from "@fmmformer/autodiff";
import { allocate, Dense, sizeOf } from "@fmmformer/autodiff/extend";
import { createArena, type Stretch } from "./arena.ts";
import { type Builder, createBuilder, type Findings } from "./builder.ts";
import { inlined, lower } from "./lower.ts";
import { type Machine, openMachine } from "./machine.ts";
import { type Buffer, encode, flatten, type Loop, place, type Step } from "./plan.ts";
import { createStats } from "./stats.ts";
import { bytesOf, type View, whole } from "./view.ts";

/** A tensor is read whose memory holds something newer. */
export class DonatedError extends FmmformerError {}

/** How the engine runs. */
export interface WasmOptions {
  /** How many threads share the work, the caller's included; 1 unless told. Results are the same bits for any number. */
  readonly threads?: number;
  /** Take the time of every step, so that `stats()` of a compiled function shows a profile; false unless told. */
  readonly profile?: boolean;
}

/**
 * Make the engine that runs programs in WebAssembly: SIMD kernels, whole programs without JavaScript in between, one arena for all values.
 *
 * Everything compiled by one engine shares its memory, which grows as needed up to 4 GB. Threads are workers over the same memory; they do
 * not keep a process alive.
 *
 * @throws RangeError when threads is no integer ≥ 1
 */
export function wasm(options: WasmOptions = {}): Engine {
  const { threads = 1, profile = false } = options;
  if (!Number.isInteger(threads) || threads < 1 || threads > 64) {
    throw new RangeError(`wasm: expected threads to be an integer from 1 to 64, got ${threads}`);
  }
  let opened: Host | undefined;
  return {
    name: "wasm",
    compile(program, { donated = [] } = {}) {
      opened ??= openHost(threads);
      return compile(opened, program, { donated, profile });
    },
  };
}

/** The machine, and who has which part of its memory. */
interface Host {
  readonly machine: Machine;
  readonly keep: (bytes: number) => Stretch;
  readonly drop: FinalizationRegistry<readonly Stretch[]>;
  /** Where values live during a call; all compiled functions share it. */
  workspace(bytes: number): number;
}

function openHost(threads: number): Host {
  const machine = openMachine(threads);
  const arena = createArena(machine.base, machine.reach);
  let workspace = arena.take(64);
  return {
    machine,
    keep: arena.take,
    drop: new FinalizationRegistry((stretches) => {
      for (const stretch of stretches) arena.give(stretch);
    }),
    workspace(bytes) {
      if (bytes > workspace.bytes) {
        arena.give(workspace);
        workspace = arena.take(bytes);
      }
      return workspace.address;
    },
  };
}

/** State that stays in the arena between calls: an input that was given away, and the result that takes its place. */
interface Slot {
  readonly input: number;
  readonly output: number;
  readonly address: number;
  /** How many results have been there; the last one is there now */
  results: number;
}

function compile(
  host: Host,
  program: Program,
  { donated, profile }: { readonly donated: readonly number[]; readonly profile: boolean },
): Executable<readonly Tensor[]> {
  const { machine } = host;
  const kept: Stretch[] = [];
  const keepBytes = (bytes: ArrayBufferView): Buffer => {
    const stretch = host.keep(bytes.byteLength + 16);
    kept.push(stretch);
    machine.views().bool.set(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength), stretch.address);
    return { bytes: bytes.byteLength, address: stretch.address };
  };

  // ——— Program to steps ———
  const flat = inlined(program);
  const findings: Findings = { constants: new Map(), errors: [], keep: keepBytes };
  const builder = createBuilder(findings, lower);
  const slots = pair(flat, donated).map(([input, output]): Slot => {
    const stretch = host.keep(sizeOf(flat.inputs[input].shape) * bytesOf[flat.inputs[input].dtype] + 16);
    kept.push(stretch);
    return { input, output, address: stretch.address, results: 0 };
  });
  const slotOf = (place: "input" | "output", at: number): Slot | undefined => slots.find((slot) => slot[place] === at);
  const inputs = flat.inputs.map((v, i) => {
    const slot = slotOf("input", i);
    const bytes = sizeOf(v.shape) * bytesOf[v.dtype];
    const view = slot ? whole({ bytes, address: slot.address }, v.shape, v.dtype) : builder.create(v);
    builder.define(v, view);
    return view;
  });
  lower(flat, builder);
  const outputs = storeResults(builder, flat, slots, inputs);
  const steps = builder.steps();

  // ——— Steps to words ———
  const buffers = (views: readonly View[]): Buffer[] => views.map(({ source }) => source as Buffer);
  const { offsets, bytes } = place(steps, { inputs: buffers(inputs), outputs: buffers(outputs) });
  const { words, moving, starts } = encode(steps, machine.functions, offsets);
  const scratch = scratchOf(steps);
  const plan = host.keep(words.byteLength);
  kept.push(plan);
  machine.views().int32.set(words, plan.address / 4);
  const needed = bytes + machine.threads * scratch;

  const stats = createStats(steps, needed);
  const runPlan = (scratchFrom: number): void => {
    stats.begin();
    const cuts = profile ? starts : [0, words.length];
    for (let i = 0; i + 1 < cuts.length; i++) {
      machine.run(plan.address + 4 * cuts[i], plan.address + 4 * cuts[i + 1], scratchFrom, scratch);
      if (profile) stats.tick(i);
    }
  };

  let base = -1;
  const run = (values: readonly Tensor[]): readonly Tensor[] => {
    const workspace = host.workspace(needed);
    const views = machine.views();
    if (workspace !== base) {
      for (const { at, offset } of moving) views.int32[plan.address / 4 + at] = workspace + offset;
      base = workspace;
    }
    const addressOf = ({ source, offset, dtype }: View): number =>
      ((source as Buffer).address ?? workspace + (offsets.get(source as Buffer) as number)) + offset * bytesOf[dtype];
    values.forEach((x, i) => {
      const slot = slotOf("input", i);
      if (slot && residents.get(x)?.slot === slot && residents.get(x)?.result === slot.results) return;
      write(views[inputs[i].dtype], addressOf(inputs[i]) / bytesOf[inputs[i].dtype], x as Dense);
    });
    for (const slot of slots) slot.results++;
    for (const { place } of findings.errors) views.int32[(place.buffer.address as number) / 4] = 0;
    runPlan(workspace + bytes);
    for (const { place, describe } of findings.errors) {
      const at = (place.buffer.address as number) / 4;
      if (views.int32[at] !== 0) throw describe(views.int32[at + 1], views.int32[at + 2]);
    }
    return outputs.map((view, i) => {
      const { shape, dtype, weak } = flat.outputs[i];
      const aval = { shape, dtype, weak };
      const slot = slotOf("output", i);
      const fetch = (): Data => copyOut(machine.views()[dtype], addressOf(view) / bytesOf[dtype], aval);
      return slot ? resident(slot, aval, fetch, executable) : new Dense(aval, fetch());
    });
  };
  const executable = Object.assign(run, { stats: stats.read });
  host.drop.register(executable, kept);
  return executable;
}

/** For each input that is given away a result of its shape and dtype, the first that no other has. */
function pair(program: Program, donated: readonly number[]): [input: number, output: number][] {
  const free = new Set(program.outputs.keys());
  return donated.flatMap((input): [number, number][] => {
    const { shape, dtype } = program.inputs[input];
    for (const output of free) {
      const y = program.outputs[output];
      if (y.dtype !== dtype || y.shape.join() !== shape.join() || sizeOf(shape) === 0) continue;
      free.delete(output);
      return [[input, output]];
    }
    return [];
  });
}

/** Where results are in the end: row-major somewhere, or in their slot, moved there when all have been computed. */
function storeResults(builder: Builder, program: Program, slots: readonly Slot[], inputs: readonly View[]): View[] {
  const states = new Set(slots.map(({ input }) => inputs[input].source));
  const results = program.outputs.map((y) => {
    const view = builder.contiguous(y);
    if (!states.has(view.source)) return view;
    const aside = builder.create(y); // what takes its place may be written first
    builder.copy(view, aside);
    return aside;
  });
  for (const { input, output } of slots) {
    builder.copy(results[output], inputs[input]);
    results[output] = inputs[input];
  }
  return results;
}

/** Results in slots: which, and the how many-th there. */
const residents = new WeakMap<Tensor, { readonly slot: Slot; readonly result: number; readonly owner: object }>();

/** The memory of slots is given back with their owner, which lives as long as a result does. */
function resident(slot: Slot, aval: Aval, fetch: () => Data, owner: object): Tensor {
  const result = slot.results;
  const x = new Dense(aval, () => {
    if (slot.results === result) return fetch();
    throw new DonatedError(
      "tensor: expected a value that was not given away, got one that jit took over (donate); read it before the next call",
    );
  });
  residents.set(x, { slot, result, owner });
  return x;
}

function copyOut(memory: Numbers, from: number, { shape, dtype }: Aval): Data {
  const data = allocate(dtype, sizeOf(shape));
  data.set(memory.subarray(from, from + data.length) as never);
  return data;
}

type Numbers = Float32Array | Float64Array | Int32Array | Uint8Array;

function write(memory: Numbers, at: number, x: Dense): void {
  if (x.fill === undefined) memory.set(x.data as never, at);
  else memory.fill(x.fill, at, at + x.size);
}

function scratchOf(steps: readonly (Step | Loop)[]): number {
  const most = flatten(steps).steps.reduce((bytes, step) => Math.max(bytes, step.scratch ?? 0), 0);
  return Math.ceil(most / 64) * 64 + 128;
}
