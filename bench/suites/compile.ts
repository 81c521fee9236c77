import type { Case, Settings, Time } from "../case.ts";
import { inProcesses } from "../processes.ts";

const phases = ["trace", "compile", "first run", "all"];

/** The first training step of a process: tracing, compiling in a fresh engine, running. */
export function* compile({ engine, threads, tokens = 2048, batch = 4 }: Settings): Iterable<Case> {
  let runs: readonly { readonly [phase: string]: Time }[] | undefined;
  const first = (): NonNullable<typeof runs> => {
    const options = [`--engine=${engine.name}`, `--threads=${threads}`, `--tokens=${tokens}`, `--batch=${batch}`];
    runs ??= inProcesses(5, ["--conditions=@fmmformer/source", "--import=tsx", "bench/first-step.ts", ...options]);
    return runs;
  };
  for (const phase of phases) {
    yield { label: phase, shape: `b${batch} n${tokens} c64 h2`, times: () => first().map((run) => run[phase]) };
  }
}
