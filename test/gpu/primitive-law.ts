import { type DType, stack, vmap } from "@fmmformer/autodiff";
import type { GpuEngine } from "@fmmformer/kernels/gpu";
import { runsAlikeOn } from "@fmmformer/kernels/laws";
import fc from "fast-check";
import { type Entry, inDType } from "../laws/entry.ts";

/**
 * Law 8 for one primitive: its kernels, and those of its pullback, compute what the value rules say.
 *
 * The host computes what has up to four elements: mapped over six calls nothing is so small. What is empty does not count as a run.
 *
 * @returns the largest difference, relative to the largest number
 */
export async function runsPrimitive(
  { uses, dtypes = ["float32"] as DType[] }: Entry,
  engine: GpuEngine,
  { numRuns }: { readonly numRuns: number },
): Promise<number> {
  let largest = 0;
  const onDifference = (found: number): void => {
    largest = Math.max(largest, found);
  };
  // The first draws of fast-check are mostly zeros, which hide what a few runs should show.
  const law = fc.asyncProperty(fc.noBias(uses), async ({ op, calls }) => {
    const mapped = calls[0].map((_, i) => stack([...calls, ...calls].map((call) => call[i])));
    for (const dtype of dtypes.filter((each) => each !== "float64")) {
      for (const [f, args] of [[op, calls[0]] as const, [vmap(op), mapped] as const]) {
        const given = args.map((x) => inDType(x, dtype));
        await runsAlikeOn(f, given, engine, { tolerance: 2e-5, onDifference });
      }
    }
    fc.pre(calls[0].some((x) => x.size > 0));
  });
  await fc.assert(law, { numRuns, includeErrorInReport: true });
  return largest;
}
