import { evaluate, type Program } from "./program.ts";
import type { Tensor } from "./tensor.ts";

/** What a compiled program costs. */
export interface Stats {
  /** How many kernels run one after the other, a loop's counted once */
  readonly steps: number;
  /** Multiplications, additions and the like of one run */
  readonly flop: number;
  /** Bytes that kernels read and write in one run, as far as they pass through memory */
  readonly bytesMoved: number;
  /** Bytes that all values of a run need at once */
  readonly peakBytes: number;
  /** The same by kind of step, the most expensive first */
  readonly kinds: readonly StepKind[];
}

/** Steps that do the same kind of thing. */
export interface StepKind {
  readonly kind: string;
  readonly steps: number;
  readonly flop: number;
  readonly bytesMoved: number;
  /** Median over the runs so far; absent where the engine was not asked to take times */
  readonly ms?: number;
}

/** A program that is ready to run. */
export interface Executable<Outputs> {
  (inputs: readonly Tensor[]): Outputs;
  /** What it costs, where the engine can tell. */
  stats?(): Stats;
}

/** What an engine is told about a program besides the program. */
export interface CompileOptions {
  /** Inputs, by place, that the caller gives away: their memory may hold the results */
  readonly donated?: readonly number[];
}

/** Runs programs. Compile once, call often. */
export interface Engine {
  readonly name: string;
  compile(program: Program, options?: CompileOptions): Executable<readonly Tensor[]>;
}

/** Runs programs on a device that answers later. */
export interface AsyncEngine {
  readonly name: string;
  compile(program: Program, options?: CompileOptions): Executable<Promise<readonly Tensor[]>>;
  /** A tree with copies in memory of what lies on the device, as results that it kept there do. */
  read<Tree>(tree: Tree): Promise<Tree>;
}

/** Runs each equation by the value rule of its primitive: the reference, not the fast path. */
export const plain: Engine = {
  name: "plain",
  compile: (program) => (inputs) => evaluate(program, inputs),
};
