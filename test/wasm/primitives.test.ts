import { test } from "node:test";
import { type DType, isFloat, stack, vmap } from "@fmmformer/autodiff";
import { runsAlike } from "@fmmformer/kernels/laws";
import { wasm } from "@fmmformer/kernels/wasm";
import fc from "fast-check";
import { inDType } from "../laws/entry.ts";
import { table } from "../laws/table.ts";

// Law 8 for every primitive: what the engine computes is what the value rule says, whatever the number of threads.

const engines = [wasm(), wasm({ threads: 2 }), wasm({ threads: 3 })];

for (const { primitive, uses, dtypes = ["float32"] as DType[] } of table) {
  test(`${primitive} runs in WebAssembly as its value rule says`, () => {
    const law = fc.property(uses, ({ op, calls }) => {
      const [args] = calls;
      runsAlike(op, args, engines);
      const mapped = args.map((_, i) => stack(calls.map((call) => call[i])));
      runsAlike(vmap(op), mapped, engines);
      for (const dtype of dtypes) {
        const given = args.map((x) => inDType(x, dtype));
        runsAlike(op, given, engines, { tolerance: isFloat(dtype) ? 1e-5 : 0 });
      }
    });
    fc.assert(law, { numRuns: 12 });
  });
}
