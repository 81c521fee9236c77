import { evaluate, type Program } from "./program.ts";
import type { Tensor } from "./tensor.ts";

/** Runs programs. Compile once, call often. */
export interface Engine {
  readonly name: string;
  compile(program: Program): (inputs: readonly Tensor[]) => readonly Tensor[];
}

/** Runs programs on a device that answers later. */
export interface AsyncEngine {
  readonly name: string;
  compile(program: Program): (inputs: readonly Tensor[]) => Promise<readonly Tensor[]>;
}

/** Runs each equation by the value rule of its primitive: the reference, not the fast path. */
export const plain: Engine = {
  name: "plain",
  compile: (program) => (inputs) => evaluate(program, inputs),
};
