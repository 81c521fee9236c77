import type { Suite } from "../case.ts";
import { compile } from "./compile.ts";
import { elementwise } from "./elementwise.ts";
import { far } from "./far.ts";
import { gpuModes } from "./gpu.ts";
import { importing } from "./import.ts";
import { matmul } from "./matmul.ts";
import { near } from "./near.ts";
import { scaling } from "./scaling.ts";
import { softmax } from "./softmax.ts";
import { step } from "./step.ts";
import { writing } from "./writing.ts";

/** All suites, by the name on the command line. */
export const suites: { readonly [name: string]: Suite } = {
  step,
  matmul,
  near,
  far,
  softmax,
  elementwise,
  scaling,
  gpu: gpuModes,
  writing,
  compile,
  import: importing,
};
