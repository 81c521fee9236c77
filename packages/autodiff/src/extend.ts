// For authors of primitives and engines.
export { apply, bind, type Cotangents, definePrimitive, type Primitive, type Rules } from "./bind.ts";
export { type CallParams, callPrimitive } from "./call.ts";
export { allocate } from "./dtype.ts";
export { inlineCalls } from "./inline.ts";
export { alignRanks, insertAxes, stretchedAxes, sumTo } from "./primitives/broadcast.ts";
export { noSuchRow } from "./primitives/gather.ts";
export { primitives } from "./primitives/index.ts";
export { type Atom, type Equation, evaluate, type Var } from "./program.ts";
export { type ScanParams, scanPrimitive } from "./scan.ts";
export { normalizeAxis, sameShape, sizeOf, stridesOf } from "./shape.ts";
export { Dense } from "./tensor.ts";
export { structureKey } from "./tree.ts";
