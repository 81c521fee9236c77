import type { Primitive } from "../bind.ts";
import { broadcastPrimitive, sumPrimitive } from "./broadcast.ts";
import { castPrimitive } from "./cast.ts";
import * as elementwise from "./elementwise.ts";
import { gatherPrimitive, scatterAddPrimitive } from "./gather.ts";
import { reshapePrimitive, transposePrimitive } from "./layout.ts";
import { matmulPrimitive } from "./matmul.ts";
import { randomBitsPrimitive } from "./random-bits.ts";
import { argmaxPrimitive, argsortPrimitive, cumsumPrimitive, maxPrimitive } from "./reduce.ts";
import { stopGradientPrimitive } from "./stop-gradient.ts";
import { triangularSolvePrimitive } from "./triangular-solve.ts";
import { concatPrimitive, flipPrimitive, padPrimitive, slicePrimitive } from "./window.ts";

const { neg, exp, log, log1p, expm1, sqrt, tanh, sigmoid, softplus, erf, sin, cos, abs, sign, floor } = elementwise;
const { add, sub, mul, div, pow, maximum, minimum, mod, equal, less, lessEqual, wherePrimitive } = elementwise;

/** Every primitive of this package but `call` and `scan`, which hold programs. An engine has a kernel for each. */
export const primitives: readonly Primitive[] = [
  ...[neg, exp, log, log1p, expm1, sqrt, tanh, sigmoid, softplus, erf, sin, cos, abs, sign, floor].map(
    (op) => op.primitive,
  ),
  ...[add, sub, mul, div, pow, maximum, minimum, mod, equal, less, lessEqual].map((op) => op.primitive),
  wherePrimitive,
  castPrimitive,
  reshapePrimitive,
  transposePrimitive,
  broadcastPrimitive,
  slicePrimitive,
  padPrimitive,
  concatPrimitive,
  flipPrimitive,
  sumPrimitive,
  maxPrimitive,
  argmaxPrimitive,
  argsortPrimitive,
  cumsumPrimitive,
  matmulPrimitive,
  triangularSolvePrimitive,
  gatherPrimitive,
  scatterAddPrimitive,
  randomBitsPrimitive,
  stopGradientPrimitive,
];
