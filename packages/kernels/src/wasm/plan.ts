import type { ChainFunction, KernelName } from "./binary/names.ts";

/** Storage that a plan wants. Where it lies is decided once all steps are known. */
export interface Buffer {
  readonly bytes: number;
  /** Kept between calls: a constant, or state that stays in the arena; its address is known before places are given. */
  address?: number;
}

/** What two buffers have in common that lie at the same place. */
export function storageOf(buffer: Buffer): unknown {
  return buffer.address ?? buffer;
}

/** A place in a buffer, in bytes from its start: one word of a step. */
export interface Place {
  readonly buffer: Buffer;
  readonly offset: number;
}

/** What stands in the words of a step: a whole number, an address, or a function by name. Fractions come through `float`. */
export type Word = number | Place | ChainFunction;

/** One use of a kernel. */
export interface Step {
  readonly kernel: KernelName;
  readonly words: readonly Word[];
  /** What it is for, as a profile shows it */
  readonly label: string;
  /** Bytes that a worker needs for itself */
  readonly scratch?: number;
  /** Multiplications and additions, and the like */
  readonly flop?: number;
  /** Of its buffers those that are written, where that is known */
  readonly writes?: readonly Buffer[];
}

/** Steps that are done again and again. */
export interface Loop {
  readonly rounds: number;
  readonly reverse: boolean;
  readonly body: readonly (Step | Loop)[];
}

const bits = new DataView(new ArrayBuffer(8));

/** A fraction as the word that holds its float32. */
export function float(x: number): number {
  bits.setFloat32(0, x, true);
  return bits.getInt32(0, true);
}

/** The two words that hold a float64. */
export function double(x: number): readonly [number, number] {
  bits.setFloat64(0, x, true);
  return [bits.getInt32(0, true), bits.getInt32(4, true)];
}

/** Steps as a plan walks them, those of loops once, each with its place and the loops that enclose it. */
export function flatten(steps: readonly (Step | Loop)[]): {
  readonly steps: readonly Step[];
  readonly loops: readonly Range[];
} {
  const flat: Step[] = [];
  const loops: Range[] = [];
  const walk = (list: readonly (Step | Loop)[]): void => {
    for (const step of list) {
      if ("kernel" in step) flat.push(step);
      else {
        const from = flat.length;
        walk(step.body);
        loops.push({ from, to: flat.length - 1 });
      }
    }
  };
  walk(steps);
  return { steps: flat, loops };
}

interface Range {
  from: number;
  to: number;
}

/** Buffers begin at multiples of this: a cache line. */
const line = 64;

/**
 * Give each buffer a place in one arena so that two whose lives overlap do not: the largest first, each as low as it can be.
 *
 * @param kept - buffers that live from the first step (inputs) or to the last (outputs)
 * @returns offsets, and how long the arena is in bytes
 */
export function place(
  steps: readonly (Step | Loop)[],
  kept: { readonly inputs: readonly Buffer[]; readonly outputs: readonly Buffer[] },
): { readonly offsets: ReadonlyMap<Buffer, number>; readonly bytes: number } {
  const { steps: flat, loops } = flatten(steps);
  const lives = new Map<Buffer, Range>();
  const touch = (buffer: Buffer, at: number): void => {
    if (buffer.address !== undefined) return;
    const life = lives.get(buffer);
    if (!life) lives.set(buffer, { from: at, to: at });
    else {
      life.from = Math.min(life.from, at);
      life.to = Math.max(life.to, at);
    }
  };
  for (const buffer of kept.inputs) touch(buffer, -1);
  flat.forEach(({ words }, at) => {
    for (const word of words) if (typeof word === "object") touch(word.buffer, at);
  });
  for (const buffer of kept.outputs) touch(buffer, flat.length);
  // What a loop shares with its outside must last for all rounds. Inner loops come first in the list.
  for (const loop of loops) {
    for (const life of lives.values()) {
      const within = life.from <= loop.to && life.to >= loop.from;
      if (!within || (life.from >= loop.from && life.to <= loop.to)) continue;
      life.from = Math.min(life.from, loop.from);
      life.to = Math.max(life.to, loop.to);
    }
  }
  const offsets = new Map<Buffer, number>();
  const placed: { from: number; to: number; low: number; high: number }[] = [];
  let bytes = 0;
  const order = [...lives.keys()].sort((a, b) => b.bytes - a.bytes);
  for (const buffer of order) {
    const { from, to } = lives.get(buffer) as Range;
    const size = Math.max(line, Math.ceil((buffer.bytes + 16) / line) * line);
    let low = 0;
    for (const other of placed) {
      if (other.to < from || other.from > to) continue;
      if (other.low >= low + size) break;
      low = Math.max(low, other.high);
    }
    const item = { from, to, low, high: low + size };
    let at = placed.length;
    while (at > 0 && placed[at - 1].low > low) at--;
    placed.splice(at, 0, item);
    offsets.set(buffer, low);
    bytes = Math.max(bytes, low + size);
  }
  return { offsets, bytes };
}

/** A plan as words, and which of them are addresses in the workspace: they move with it. */
export interface Encoded {
  readonly words: Int32Array;
  readonly moving: readonly { readonly at: number; readonly offset: number }[];
  /** Where each top-level step begins, in words, and where the last ends */
  readonly starts: readonly number[];
}

/** Write steps as words: `[kernel, how many words, …words]` each, as assembly/run.ts reads them. */
export function encode(
  steps: readonly (Step | Loop)[],
  functions: ReadonlyMap<string, number>,
  offsets: ReadonlyMap<Buffer, number>,
): Encoded {
  const words: number[] = [];
  const moving: { at: number; offset: number }[] = [];
  const numberOf = (name: string): number => {
    const found = functions.get(name);
    if (found === undefined) throw new Error(`wasm: the module has no function ${name}`);
    return found;
  };
  const write = (word: Word): void => {
    if (typeof word === "number") words.push(word);
    else if (typeof word === "string") words.push(numberOf(word));
    else if (word.buffer.address !== undefined) words.push(word.buffer.address + word.offset);
    else {
      moving.push({ at: words.length, offset: (offsets.get(word.buffer) as number) + word.offset });
      words.push(0);
    }
  };
  const visit = (step: Step | Loop): void => {
    if ("kernel" in step) {
      words.push(numberOf(step.kernel), step.words.length);
      step.words.forEach(write);
      return;
    }
    const length = words.push(-1, 0, step.rounds, Number(step.reverse)) - 3;
    step.body.forEach(visit);
    words[length] = words.length - length - 1;
  };
  const starts = steps.map((step) => {
    const at = words.length;
    visit(step);
    return at;
  });
  return { words: Int32Array.from(words), moving, starts: [...starts, words.length] };
}
