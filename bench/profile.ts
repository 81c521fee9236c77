// npm run profile [-- --help]: where the time of a training step goes.
import { wasm } from "@fmmformer/kernels/wasm";
import { CommandError, commandLine, optionsHelp, runCommand } from "./command-line.ts";
import { table } from "./lines.ts";
import { trainingStep } from "./training-step.ts";

const help = `npm run profile -- [--threads T] [--tokens N] [--batch B] [--json]

Shows, for each kind of step in the program of a training step, what it takes: b 4 and n 2048 unless told.
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

  const total = stats.kinds.reduce((sum, { ms = 0 }) => sum + ms, 0);
  const row = (name: string, count: number, ms: number, flop: number, bytes: number): string[] => [
    name,
    `${count}`,
    ms.toFixed(2),
    `${((100 * ms) / total).toFixed(1)} %`,
    flop > 0 ? (flop / ms / 1e6).toFixed(1) : "",
    (bytes / ms / 1e6).toFixed(1),
  ];
  console.log(
    table([
      ["kind", "how many", "ms", "share", "GFLOP/s", "GB/s"],
      ...stats.kinds.map(({ kind, steps, ms = 0, flop, bytesMoved }) => row(kind, steps, ms, flop, bytesMoved)),
      row("all", stats.steps, total, stats.flop, stats.bytesMoved),
    ]),
  );
  const median = walls.sort((a, b) => a - b)[walls.length >> 1];
  console.log(
    `\n${step.shape}, threads ${settings.threads}: ${walls.length} runs, median ${median.toFixed(2)} ms from call to loss, ${(stats.peakBytes / 1e6).toFixed(1)} MB`,
  );
});
