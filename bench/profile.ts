// npm run profile [-- --help]: where the time of a training step goes.
import { profileTable, wasm } from "@fmmformer/kernels/wasm";
import { CommandError, commandLine, optionsHelp, runCommand } from "./command-line.ts";
import { trainingStep } from "./training-step.ts";

const help = `npm run profile -- [--threads T] [--tokens N] [--batch B] [--json]

Shows, for each kind of step in the program of a training step, what it takes: b 4 and n 2048 unless told.
"npm run fmmformer -- profile TASK" does so for the model of a task.
GB/s are of what kernels read and write, whether or not it comes from a cache.

${optionsHelp}`;

const [leastRuns, leastMs] = [8, 2000];

await runCommand(() => {
  const settings = commandLine("profile", [], (threads) => wasm({ threads, profile: true }));
  if (settings.help) return console.log(help);
  if (settings.engine.name !== "wasm")
    throw new CommandError("profile: expected --engine wasm, got plain, which takes no times");
  const step = trainingStep(settings);
  step.run();
  const walls: number[] = [];
  for (const began = performance.now(); walls.length < leastRuns || performance.now() - began < leastMs; ) {
    const before = performance.now();
    step.run();
    walls.push(performance.now() - before);
  }
  const stats = step.stats();
  if (!stats) throw new Error("profile: expected the engine to tell what a program costs, got nothing");
  if (settings.json) {
    for (const kind of stats.kinds) console.log(JSON.stringify(kind));
    return;
  }

  console.log(profileTable(stats));
  const median = walls.sort((a, b) => a - b)[walls.length >> 1];
  console.log(
    `\n${step.shape}, threads ${settings.threads}: ${walls.length} runs, median ${median.toFixed(2)} ms from call to loss, ${(stats.peakBytes / 1e6).toFixed(1)} MB`,
  );
});
