import { test } from "node:test";
import { cast, type DType, floor, isFloat, mul, stack, type Tensor, vmap } from "@fmmformer/autodiff";
import { runsAlike } from "@fmmformer/kernels/laws";
import { wasm } from "@fmmformer/kernels/wasm";
import fc from "fast-check";
import type { Entry } from "../laws/primitive-laws.ts";
import { elementwiseTable } from "../laws/primitives/elementwise.ts";
import { productTable } from "../laws/primitives/product.ts";
import { programTable } from "../laws/primitives/program.ts";
import { randomTable } from "../laws/primitives/random.ts";
import { reductionTable } from "../laws/primitives/reduction.ts";
import { rowTable } from "../laws/primitives/row.ts";
import { shapeTable } from "../laws/primitives/shape.ts";

// Law 8 for every primitive: what the engine computes is what the value rule says, whatever the number of threads.

const engines = [wasm(), wasm({ threads: 2 }), wasm({ threads: 3 })];

const tables: readonly (readonly Entry[])[] = [
  elementwiseTable,
  shapeTable,
  reductionTable,
  productTable,
  rowTable,
  randomTable,
  programTable,
];

for (const { primitive, uses, dtypes = ["float32"] as DType[] } of tables.flat()) {
  test(`${primitive} runs in WebAssembly as its value rule says`, () => {
    const law = fc.property(uses, ({ op, calls }) => {
      const [args] = calls;
      runsAlike(op, args, engines);
      const mapped = args.map((_, i) => stack(calls.map((call) => call[i])));
      runsAlike(vmap(op), mapped, engines);
      for (const dtype of dtypes) {
        const given = args.map((x): Tensor => {
          if (!isFloat(x.dtype)) return x;
          return isFloat(dtype) ? cast(x, dtype) : cast(floor(mul(x, 10)), dtype);
        });
        runsAlike(op, given, engines, { tolerance: isFloat(dtype) ? 1e-5 : 0 });
      }
    });
    fc.assert(law, { numRuns: 12 });
  });
}
