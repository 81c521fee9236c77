import { wasm } from "@fmmformer/kernels/wasm";
import { parameterCount } from "../parameter-count.ts";
import { evaluate } from "../training/evaluate.ts";
import { openRun } from "./open-run.ts";
import { shown } from "./train.ts";

export interface EvaluateFlags {
  readonly split: "validation" | "test";
  readonly batches?: number;
  readonly data?: string;
  readonly threads: number;
  readonly json?: boolean;
}

/** The command `evaluate`. */
export async function evaluateRun(out: string, flags: EvaluateFlags): Promise<void> {
  const { split, threads, json = false } = flags;
  const { plan, task, params, step } = await openRun(out, flags.data);
  const { batchSize, tests, batches } = plan.evaluation;
  const most = flags.batches ?? (split === "test" ? tests : batches);
  const engine = wasm({ threads });
  const options = { split, batchSize, engine, ...(most !== undefined && { batches: most }) };
  const values = evaluate(plan.model, params, task, options);
  if (json) {
    const facts = { task: task.name, name: plan.name, seed: plan.seed, split, step };
    console.log(JSON.stringify({ ...facts, parameters: parameterCount(params), ...values }, null, 2));
    return;
  }
  console.log(`${split} ${shown(values, task)} with the parameters of step ${step}`);
}
