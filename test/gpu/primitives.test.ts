import { after, test } from "node:test";
import type { DType } from "@fmmformer/autodiff";
import { runsAlikeOn } from "@fmmformer/kernels/laws";
import fc from "fast-check";
import { inDType } from "../laws/primitive-laws.ts";
import { table } from "../laws/table.ts";
import { closeModes, openModes } from "./modes.ts";

// Law 8 for every primitive in each mode: its kernels compute what the value rule says. Every shape builds kernels anew, hence few runs.

const modes = await openModes();
after(() => closeModes(modes));

test("webgpu through a Vulkan driver", { skip: modes.skipped ?? false }, () => {});

for (const engine of modes.engines) {
  for (const { primitive, uses, dtypes = ["float32"] as DType[] } of table) {
    test(`${primitive} runs in mode ${engine.mode} as its value rule says`, async () => {
      const law = fc.asyncProperty(uses, async ({ op, calls: [args] }) => {
        for (const dtype of dtypes.filter((each) => each !== "float64")) {
          await runsAlikeOn(
            op,
            args.map((x) => inDType(x, dtype)),
            engine,
            { tolerance: 2e-5 },
          );
        }
      });
      await fc.assert(law, { numRuns: engine.mode === "cpu" ? 12 : 3 });
    });
  }
}
