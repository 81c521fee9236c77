import { wasm } from "@fmmformer/kernels/wasm";
import { evaluate } from "../training/evaluate.ts";
import { openRun } from "./open-run.ts";

/** The command `evaluate`. */
export async function evaluateRun(
  out: string,
  { batches, threads }: { batches?: number; threads: number },
): Promise<void> {
  const { plan, task, params, step } = await openRun(out);
  const { batchSize, tests } = plan.evaluation;
  const most = batches ?? tests;
  const { loss, accuracy } = evaluate(plan.model, params, task, {
    batchSize,
    ...(most !== undefined && { batches: most }),
    engine: wasm({ threads }),
  });
  console.log(
    `test accuracy ${(100 * accuracy).toFixed(2)} %, loss ${loss.toFixed(4)} with the parameters of step ${step}`,
  );
}
