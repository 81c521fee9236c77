import type { Aval, Data, Engine, Executable, Program, Tensor } from "@fmmformer/autodiff";
import { allocate, Dense, sizeOf } from "@fmmformer/autodiff/extend";
import { createArena, type Stretch } from "./arena.ts";
import { lowerProgram } from "./lowered.ts";
import { type Machine, openMachine } from "./machine.ts";
import { type Buffer, encode, flatten, type Loop, place, type Step } from "./plan.ts";
import { isResident, resident, type Slot } from "./slot.ts";
import { createStats } from "./stats.ts";
import { bytesOf, type View } from "./view.ts";

/** How the engine runs. */
export interface WasmOptions {
  /** How many threads share the work, the caller's included; 1 unless told. Results are the same bits for any number. */
  readonly threads?: number;
  /** Take the time of every step, so that `stats()` of a compiled function shows a profile; false unless told. */
  readonly profile?: boolean;
}

/** An engine that runs programs in WebAssembly. */
export interface WasmEngine extends Engine {
  /**
   * Wait until threads can work: at once in Node, and with one thread; in a page, before the first call.
   *
   * @throws Error when this host has no threads, with what helps
   */
  ready(): Promise<void>;
}

/**
 * Make the engine that runs programs in WebAssembly: SIMD kernels, whole programs without JavaScript in between, one arena for all values.
 *
 * Everything compiled by one engine shares its memory, which grows as needed up to 4 GB. Threads are workers over the same memory; they do
 * not keep a process alive. In a browser threads want a page that is cross-origin isolated, an engine made in a worker of it (the main thread
 * must not wait), and `await engine.ready()` before the first call; one thread wants nothing of this.
 *
 * @throws RangeError when threads is no integer from 1 to 64
 */
export function wasm(options: WasmOptions = {}): WasmEngine {
  const { threads = 1, profile = false } = options;
  if (!Number.isInteger(threads) || threads < 1 || threads > 64) {
    throw new RangeError(`wasm: expected threads to be an integer from 1 to 64, got ${threads}`);
  }
  let opened: Host | undefined;
  let serving = false;
  return {
    name: "wasm",
    async ready() {
      opened ??= openHost(threads);
      await opened.machine.starting;
      serving = true;
    },
    compile(program, { donated = [] } = {}) {
      opened ??= openHost(threads);
      if (opened.machine.starting && !serving) {
        throw new Error(
          "wasm: expected threads that serve, got some that may not have started; await engine.ready() before the first call",
        );
      }
      const kept: Stretch[] = [];
      try {
        return compile(opened, program, { donated, profile, kept });
      } catch (error) {
        opened.give(kept);
        throw error;
      }
    },
  };
}

/** The machine, and who has which part of its memory. */
interface Host {
  readonly machine: Machine;
  readonly keep: (bytes: number) => Stretch;
  give(stretches: readonly Stretch[]): void;
  readonly drop: FinalizationRegistry<readonly Stretch[]>;
  /** Where values live during a call; all compiled functions share it. */
  workspace(bytes: number): number;
}

function openHost(threads: number): Host {
  const machine = openMachine(threads);
  const arena = createArena(machine.base, machine.reach);
  let workspace = arena.take(64);
  const give = (stretches: readonly Stretch[]): void => {
    for (const stretch of stretches) arena.give(stretch);
  };
  return {
    machine,
    keep: arena.take,
    give,
    drop: new FinalizationRegistry(give),
    workspace(bytes) {
      if (bytes > workspace.bytes) {
        arena.give(workspace);
        try {
          workspace = arena.take(bytes);
        } catch (error) {
          workspace = arena.take(workspace.bytes);
          throw error;
        }
      }
      return workspace.address;
    },
  };
}

function compile(
  host: Host,
  program: Program,
  options: { readonly donated: readonly number[]; readonly profile: boolean; readonly kept: Stretch[] },
): Executable<readonly Tensor[]> {
  const { machine } = host;
  const { donated, profile, kept } = options;
  const keep = (bytes: ArrayBufferView): Buffer & { readonly address: number } => {
    const stretch = host.keep(bytes.byteLength + 16);
    kept.push(stretch);
    machine.views().bool.set(new Uint8Array(bytes.buffer, bytes.byteOffset, bytes.byteLength), stretch.address);
    return { bytes: bytes.byteLength, address: stretch.address };
  };
  const { program: flat, steps, inputs, outputs, slots, errors } = lowerProgram(program, { donated, keep });
  const slotOfInput = inputs.map((_, i): Slot | undefined => slots.find(({ input }) => input === i));
  const slotOfOutput = outputs.map((_, i): Slot | undefined => slots.find(({ output }) => output === i));

  const buffers = (views: readonly View[]): Buffer[] => views.map(({ source }) => source as Buffer);
  const { offsets, bytes } = place(steps, { inputs: buffers(inputs), outputs: buffers(outputs) });
  const { words, moving, starts } = encode(steps, machine.functions, offsets);
  const scratch = scratchOf(steps);
  const plan = keep(words);
  const needed = bytes + machine.threads * scratch;

  const stats = createStats(steps, needed);
  const runPlan = (scratchFrom: number): void => {
    if (profile) stats.begin();
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
    // All are read before one is written: what one slot holds may go to another.
    const contents = values.map((x, i) => {
      const slot = slotOfInput[i];
      return slot && isResident(x, slot) ? null : ((x as Dense).fill ?? x.data);
    });
    contents.forEach((content, i) => {
      const { shape, dtype } = inputs[i];
      if (content !== null) write(views[dtype], addressOf(inputs[i]) / bytesOf[dtype], content, sizeOf(shape));
    });
    for (const slot of slots) slot.results++;
    for (const { place } of errors) views.int32[(place.buffer.address as number) / 4] = 0;
    runPlan(workspace + bytes);
    for (const { place, describe } of errors) {
      const at = (place.buffer.address as number) / 4;
      if (views.int32[at] !== 0) throw describe(views.int32[at + 1], views.int32[at + 2]);
    }
    return outputs.map((view, i) => {
      const { shape, dtype, weak } = flat.outputs[i];
      const aval = { shape, dtype, weak };
      const slot = slotOfOutput[i];
      const fetch = (): Data => copyOut(machine.views()[dtype], addressOf(view) / bytesOf[dtype], aval);
      return slot ? resident(slot, aval, fetch, executable) : new Dense(aval, fetch());
    });
  };
  const executable = Object.assign(run, { stats: stats.read });
  host.drop.register(executable, kept);
  return executable;
}

function copyOut(memory: Numbers, from: number, { shape, dtype }: Aval): Data {
  const data = allocate(dtype, sizeOf(shape));
  data.set(memory.subarray(from, from + data.length) as never);
  return data;
}

type Numbers = Float32Array | Float64Array | Int32Array | Uint8Array;

function write(memory: Numbers, at: number, content: Data | number, size: number): void {
  if (typeof content === "number") memory.fill(content, at, at + size);
  else memory.set(content as never, at);
}

function scratchOf(steps: readonly (Step | Loop)[]): number {
  const most = flatten(steps).steps.reduce((bytes, step) => Math.max(bytes, step.scratch ?? 0), 0);
  return Math.ceil(most / 64) * 64 + 128;
}
