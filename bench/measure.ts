import type { Stats } from "@fmmformer/autodiff";
import benny from "benny";
import type { Case, Settings, Time } from "./case.ts";

/** What is known of a case that ran: one line of output. */
export interface Measured {
  readonly case: string;
  readonly engine: string;
  readonly threads: number;
  readonly shape: string;
  readonly medianMs: number;
  readonly minMs: number;
  /** Of all threads, a run, warm-up excluded */
  readonly cpuMs: number;
  readonly flop: number | null;
  readonly peakBytes: number | null;
  readonly msPerToken?: number;
  readonly bytesPerToken?: number;
  readonly note?: string;
  /** The engine that it is compared with, and how many times as long it took */
  readonly against?: string;
  readonly ratio?: number;
}

/**
 * Time a case of a suite.
 *
 * @param medians - of the cases of the suite before it, by label, in milliseconds; that of this one is added
 */
export async function measure(
  suite: string,
  one: Case,
  { engine, threads }: Settings,
  medians: Map<string, number>,
): Promise<Measured> {
  const name = one.label ? `${suite} ${one.label}` : suite;
  const { medianMs, minMs, cpuMs } =
    "run" in one ? await byBenny(name, one.run, one.seconds ?? 3) : summary(one.times());
  const stats: Stats | null = one.stats?.() ?? null;
  const peakBytes = stats?.peakBytes ?? null;
  const { tokens, note, against } = one;
  medians.set(one.label, medianMs);
  const usual = against === undefined ? undefined : medians.get(against);
  return {
    case: name,
    engine: one.engine ?? engine.name,
    threads,
    shape: one.shape,
    medianMs,
    minMs,
    cpuMs,
    flop: stats?.flop ?? null,
    peakBytes,
    ...(tokens && { msPerToken: medianMs / tokens }),
    ...(tokens && peakBytes !== null && { bytesPerToken: peakBytes / tokens }),
    ...(note && { note: note() }),
    ...(usual && { against: engine.name, ratio: medianMs / usual }),
  };
}

type Summary = Pick<Measured, "medianMs" | "minMs" | "cpuMs">;

/** benny runs it once before it takes times; medians and minima are what it keeps in `details`, in seconds. */
async function byBenny(name: string, run: () => unknown, seconds: number): Promise<Summary> {
  let runs = -1;
  let warm = process.cpuUsage();
  const counted = (): unknown => {
    if (runs === 0) warm = process.cpuUsage();
    runs++;
    const result = run();
    return result instanceof Promise ? result : undefined;
  };
  const { log } = console;
  console.log = () => {}; // benny announces the suite where only our lines should be
  try {
    const added = benny.add(name, counted, { minSamples: 5, maxTime: seconds });
    const { results } = await benny.suite(name, added);
    const { user, system } = process.cpuUsage(warm);
    const { median, min } = results[0].details;
    return { medianMs: 1000 * median, minMs: 1000 * min, cpuMs: (user + system) / 1000 / runs };
  } finally {
    console.log = log;
  }
}

function summary(times: readonly Time[]): Summary {
  const median = (values: readonly number[]): number => [...values].sort((a, b) => a - b)[values.length >> 1];
  const all = times.map(({ ms }) => ms);
  return { medianMs: median(all), minMs: Math.min(...all), cpuMs: median(times.map(({ cpuMs }) => cpuMs)) };
}
