import { join } from "node:path";
import { random, tensor } from "@fmmformer/autodiff";
import type { ClassifierParams } from "../classifier.ts";
import { curvesFigure } from "../figures/curves.ts";
import { efficiencyFigure, efficiencyStudy } from "../figures/efficiency.ts";
import { rankFigure, rankStudy } from "../figures/rank.ts";
import { writeWhole } from "../files/write-whole.ts";
import { type FmmformerOptions, fmmformer } from "../fmmformer.ts";
import { attentionMaps } from "../report/read-fields.ts";
import { runCurve } from "../report/run-report.ts";
import type { WatchedModel } from "../report/watch-attention.ts";
import type { Example } from "../tasks/task.ts";
import { differences } from "../training/differences.ts";
import { readMetrics } from "../training/metrics.ts";
import { RunError } from "../training/run-error.ts";
import { runFiles } from "../training/run-folder.ts";
import { openRun, readRun } from "./open-run.ts";
import { decisive, type RunConfiguration } from "./plan-run.ts";
import { sayTenths } from "./tenths.ts";

/** The command `figure efficiency`. */
export async function efficiency(flags: {
  lengths?: number[];
  seconds: number;
  threads: number;
  out: string;
}): Promise<void> {
  const { lengths, seconds, threads, out } = flags;
  const study = efficiencyStudy({
    ...(lengths && { lengths }),
    ...{ seconds, threads },
    onPoint: ({ attention, length, pass, milliseconds, bytes }) => {
      const mega = (bytes / 2 ** 20).toFixed(1);
      process.stderr.write(`${attention} ${length} ${pass}: ${milliseconds.toFixed(2)} ms, ${mega} MiB\n`);
    },
  });
  write(out, "efficiency.json", `${JSON.stringify(study, null, 2)}\n`);
  write(out, "efficiency-time.svg", await efficiencyFigure(study, "time"));
  write(out, "efficiency-memory.svg", await efficiencyFigure(study, "memory"));
  for (const { attention, pass, slope } of study.slopes) {
    console.log(`${attention}, ${pass}: time grows with the power ${slope.toFixed(2)} of the length`);
  }
  console.log(`${out} has the numbers and two figures`);
}

export interface RankFlags {
  readonly examples: number;
  readonly bandwidths: readonly number[];
  readonly data?: string;
  readonly out: string;
}

/** The command `figure rank`: test examples are cut to the shortest of them, so that their maps are of one size. */
export async function rank(run: string, { examples, bandwidths, data, out }: RankFlags): Promise<void> {
  if (readRun(run).pretraining) {
    throw new RunError(
      `rank: expected a run of train, got ${run}, a run of pretrain; train --from ${run}, and give that run`,
    );
  }
  const opened = await openRun(run, data);
  const { task } = opened;
  const { options, params } = ofOneSequence(opened);
  const count = Math.min(examples, task.examples.test);
  const chosen = Array.from({ length: count }, (_, index) => task.example("test", index));
  const n = Math.min(...chosen.map((example) => lengthOf(example, task.length)));
  const maps = chosen.flatMap(({ tokens, mask }) =>
    attentionMaps(options as WatchedModel, params, tensor(tokens.slice(0, n)), {
      mask: mask ? tensor(mask.slice(0, n)) : null,
    }),
  );
  const say = sayTenths((percent, size) => `rank: ${percent} % of ${size} maps`);
  const study = rankStudy(maps, { bandwidths: [0, ...bandwidths], onMap: (done) => say(done, maps.length) });
  write(out, "rank.json", `${JSON.stringify(study, null, 2)}\n`);
  write(out, "rank.svg", await rankFigure(study));
  write(out, "rank-leading.svg", await rankFigure(study, "leading"));
  const mean = (list: readonly number[]): string => (list.reduce((a, b) => a + b, 0) / list.length).toFixed(1);
  for (const { bandwidth, ranks, leading } of study.bands) {
    const what = bandwidth === 0 ? "whole" : `without band ${bandwidth}`;
    console.log(`${what}: rank ${mean(ranks)} of ${study.length} on average, 95 % of the squares in ${mean(leading)}`);
  }
  console.log(`${out} has the numbers and two figures of ${study.maps} maps`);
}

/** A model of pairs encodes each sequence alike: its encoder before the head of a model of one. */
function ofOneSequence({ options, params }: { readonly options: FmmformerOptions; readonly params: unknown }) {
  if (options.kind !== "classify-pairs") return { options, params };
  const one = { ...options, kind: "classify" as const };
  return {
    options: one,
    params: { ...fmmformer(one).init(random.key(0)), encoder: (params as ClassifierParams).encoder },
  };
}

/** How many tokens there are before nothing but padding follows; of a pair, in its first sequence. */
function lengthOf({ mask }: Example, length: number): number {
  return mask ? mask.subarray(0, length).lastIndexOf(1) + 1 : length;
}

export interface CurvesFlags {
  /** One for each run; those of their attention unless told */
  readonly names?: readonly string[];
  readonly out: string;
}

/** The command `figure curves`: finished runs and others. */
export async function curves(runs: readonly string[], { names, out }: CurvesFlags): Promise<void> {
  if (names && names.length !== runs.length) {
    throw new RangeError(`figure curves: expected a name for each of ${runs.length} runs, got ${names.length}`);
  }
  const configurations = runs.map(readRun);
  if (!names) checkAlike(runs, configurations);
  const shown = runs.map((run, i) => {
    const { task, name, pretraining } = configurations[i];
    const metrics = readMetrics(join(run, runFiles.metrics));
    return runCurve(task.name + (pretraining ? ", pretraining" : ""), names?.[i] ?? name, metrics);
  });
  const [loss, accuracy] = [await curvesFigure(shown, "loss"), await curvesFigure(shown, "accuracy")];
  write(out, "curves.json", `${JSON.stringify(shown, null, 2)}\n`);
  write(out, "curves-loss.svg", loss);
  write(out, "curves-accuracy.svg", accuracy);
  console.log(`${out} has the numbers and two figures of ${shown.length === 1 ? "1 run" : `${shown.length} runs`}`);
}

/** Check that runs of one name, which become their mean, are of one configuration. */
function checkAlike(runs: readonly string[], configurations: readonly RunConfiguration[]): void {
  const firsts = new Map<string, number>();
  for (const [i, configuration] of configurations.entries()) {
    const { task, name, pretraining } = configuration;
    const key = JSON.stringify([task.name, name, pretraining]);
    const first = firsts.get(key) ?? i;
    firsts.set(key, first);
    const different = differences(decisive(configurations[first]), decisive(configuration));
    if (different.length === 0) continue;
    throw new RangeError(
      `figure curves: expected runs of ${name} that differ in their seeds alone, got ${runs[first]} and ${runs[i]} ` +
        `(${different.join("; ")}); name each run with --names`,
    );
  }
}

function write(out: string, file: string, text: string): void {
  writeWhole(join(out, file), text);
}
