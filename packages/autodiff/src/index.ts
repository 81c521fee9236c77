// values

// transformations
export { type Axes, type VmapOptions, vmap } from "./batch.ts";
export { type CheckOptions, checkGradients, checkLinear } from "./check.ts";
export { eye, iota, linspace } from "./create.ts";
export { type CustomVjp, checkpoint, customVjp } from "./custom-vjp.ts";
export { debugNaNs } from "./debug-nans.ts";
export type { Data, DType } from "./dtype.ts";
export { isFloat } from "./dtype.ts";
// programs, trees, random numbers
export {
  type AsyncEngine,
  type CompileOptions,
  type Engine,
  type Executable,
  plain,
  type Stats,
  type StepKind,
} from "./engine.ts";
export {
  AbstractValueError,
  DTypeError,
  FmmformerError,
  GradientError,
  LeakedTracerError,
  NaNError,
  ShapeError,
  showShape,
} from "./errors.ts";
export { hessian, type Jacobian, jacobian, jvp, linearize } from "./forward.ts";
export { type Jitted, jit, trace } from "./jit.ts";
// elementwise
export { elu, gelu, relu, silu } from "./ops/activations.ts";
export { allClose, ceil, clip, isfinite, isnan, reciprocal, round, rsqrt, square, tan } from "./ops/arithmetic.ts";
// shape
export { oneHot, repeat, sort, split, stack, takeAlongAxis, tile, tril, triu } from "./ops/arrange.ts";
// linear algebra
export { einsum } from "./ops/einsum.ts";
export { dot, outer } from "./ops/products.ts";
// reductions
export { logSoftmax, logSumExp, softmax } from "./ops/softmax.ts";
export { all, any, mean, prod, type ReduceOptions, std, variance } from "./ops/statistics.ts";
export { broadcastTo, sum } from "./primitives/broadcast.ts";
export { cast } from "./primitives/cast.ts";
export {
  abs,
  add,
  type BinaryOp,
  cos,
  div,
  equal,
  erf,
  exp,
  expm1,
  floor,
  greater,
  greaterEqual,
  less,
  lessEqual,
  log,
  log1p,
  logicalAnd,
  logicalNot,
  logicalOr,
  maximum,
  minimum,
  mod,
  mul,
  neg,
  notEqual,
  pow,
  sigmoid,
  sign,
  sin,
  softplus,
  sqrt,
  sub,
  tanh,
  type UnaryOp,
  where,
} from "./primitives/elementwise.ts";
export { scatterAdd, take } from "./primitives/gather.ts";
export { expandDims, moveAxis, reshape, squeeze, swapAxes, transpose } from "./primitives/layout.ts";
export { matmul } from "./primitives/matmul.ts";
export { argmax, argmin, argsort, cumsum, max, min } from "./primitives/reduce.ts";
export { stopGradient } from "./primitives/stop-gradient.ts";
export { triangularSolve } from "./primitives/triangular-solve.ts";
export { concat, flip, pad, slice } from "./primitives/window.ts";
export { type Atom, type Equation, Program, type Var } from "./program.ts";
export * as random from "./random.ts";
export { type ScanOptions, scan } from "./scan.ts";
export { type GradOptions, grad, valueAndGrad, vjp } from "./tape.ts";
export {
  type Aval,
  full,
  isTensor,
  type Nested,
  ones,
  onesLike,
  type Scalar,
  type Tensor,
  tensor,
  zeros,
  zerosLike,
} from "./tensor.ts";
export { type Args, type Cotangent, flatten, treeMap, unflatten } from "./tree.ts";
