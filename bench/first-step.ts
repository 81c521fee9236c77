// Takes the first training step of this process and prints what its phases took: the suite `compile` runs it in processes of their own.
import type { Engine } from "@fmmformer/autodiff";
import type { Time } from "./case.ts";
import { commandLine, runCommand } from "./command-line.ts";
import { trainingStep } from "./training-step.ts";

await runCommand(() => {
  const settings = commandLine("bench", []);
  const taken: { [phase: string]: Time } = {};
  const stopwatch = (): ((phase: string) => void) => {
    const [began, cpu] = [performance.now(), process.cpuUsage()];
    return (phase) => {
      const [ms, { user, system }] = [performance.now() - began, process.cpuUsage(cpu)];
      taken[phase] = { ms, cpuMs: (user + system) / 1000 };
    };
  };

  let tracing = stopwatch();
  const watched: Engine = {
    name: settings.engine.name,
    compile(program, options) {
      tracing("trace");
      const compiling = stopwatch();
      const run = settings.engine.compile(program, options);
      compiling("compile");
      return (inputs) => {
        const running = stopwatch();
        const outputs = run(inputs);
        running("first run");
        return outputs;
      };
    },
  };
  const { run } = trainingStep({ ...settings, engine: watched });
  const all = stopwatch();
  tracing = stopwatch();
  run();
  all("all");
  console.log(JSON.stringify(taken));
});
