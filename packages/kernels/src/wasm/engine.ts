import type { Engine, Program, Tensor } from "@fmmformer/autodiff";
import { allocate, Dense, sizeOf } from "@fmmformer/autodiff/extend";
import { createArena, type Stretch } from "./arena.ts";
import { createBuilder, type Findings } from "./builder.ts";
import { inlined, lower } from "./lower.ts";
import { type Machine, openMachine } from "./machine.ts";
import { type Buffer, encode, flatten, type Loop, place, type Step } from "./plan.ts";
import { bytesOf, type View } from "./view.ts";

/** How the engine runs. */
export interface WasmOptions {
  /** How many threads share the work, the caller's included; 1 unless told. Results are the same bits for any number. */
  readonly threads?: number;
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
  const { threads = 1 } = options;
  if (!Number.isInteger(threads) || threads < 1 || threads > 64) {
    throw new RangeError(`wasm: expected threads to be an integer from 1 to 64, got ${threads}`);
  }
  let opened: Host | undefined;
  return {
    name: "wasm",
    compile(program) {
      opened ??= openHost(threads);
      return compile(opened, program);
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

function compile(host: Host, program: Program): (inputs: readonly Tensor[]) => readonly Tensor[] {
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
  const inputs = flat.inputs.map((v) => {
    const view = builder.create(v);
    builder.define(v, view);
    return view;
  });
  lower(flat, builder);
  const outputs = flat.outputs.map((y) => builder.contiguous(y));
  const steps = builder.steps();

  // ——— Steps to words ———
  const buffers = (views: readonly View[]): Buffer[] => views.map(({ source }) => source as Buffer);
  const { offsets, bytes } = place(steps, { inputs: buffers(inputs), outputs: buffers(outputs) });
  const { words, moving } = encode(steps, machine.functions, offsets);
  const scratch = scratchOf(steps);
  const plan = host.keep(words.byteLength);
  kept.push(plan);
  machine.views().int32.set(words, plan.address / 4);
  const whole = bytes + machine.threads * scratch;

  let base = -1;
  const run = (values: readonly Tensor[]): readonly Tensor[] => {
    const workspace = host.workspace(whole);
    const views = machine.views();
    if (workspace !== base) {
      for (const { at, offset } of moving) views.int32[plan.address / 4 + at] = workspace + offset;
      base = workspace;
    }
    const addressOf = ({ source, offset, dtype }: View): number =>
      ((source as Buffer).address ?? workspace + (offsets.get(source as Buffer) as number)) + offset * bytesOf[dtype];
    values.forEach((x, i) => {
      write(views[inputs[i].dtype], addressOf(inputs[i]) / bytesOf[inputs[i].dtype], x as Dense);
    });
    for (const { place } of findings.errors) views.int32[(place.buffer.address as number) / 4] = 0;
    machine.run(plan.address, plan.address + words.byteLength, workspace + bytes, scratch);
    for (const { place, describe } of findings.errors) {
      const at = (place.buffer.address as number) / 4;
      if (views.int32[at] !== 0) throw describe(views.int32[at + 1], views.int32[at + 2]);
    }
    return outputs.map((view, i) => {
      const { shape, dtype, weak } = flat.outputs[i];
      const from = addressOf(view) / bytesOf[dtype];
      const data = allocate(dtype, sizeOf(shape));
      data.set(views[dtype].subarray(from, from + data.length) as never);
      return new Dense({ shape, dtype, weak }, data);
    });
  };
  host.drop.register(run, kept);
  return run;
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
