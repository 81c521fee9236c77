import type { Stats, StepKind } from "@fmmformer/autodiff";
import type { Buffer, Loop, Step } from "./plan.ts";

/** Counts what a plan does, and, where it is told when steps end, how long they take. */
export interface StatsCounter {
  /** A run begins. */
  begin(): void;
  /** A top-level step has ended. */
  tick(step: number): void;
  read(): Stats;
}

/** How many runs a median is taken over. */
const remembered = 64;

export function createStats(steps: readonly (Step | Loop)[], peakBytes: number): StatsCounter {
  const costs = steps.map(costOf);
  const times = steps.map(() => [] as number[]);
  let last = 0;
  return {
    begin() {
      last = performance.now();
    },
    tick(step) {
      const now = performance.now();
      times[step].push(now - last);
      if (times[step].length > remembered) times[step].shift();
      last = now;
    },
    read() {
      const kinds = new Map<string, { -readonly [key in keyof StepKind]: StepKind[key] }>();
      costs.forEach(({ kind, steps: count, flop, bytesMoved }, i) => {
        const found = kinds.get(kind) ?? { kind, steps: 0, flop: 0, bytesMoved: 0 };
        found.steps += count;
        found.flop += flop;
        found.bytesMoved += bytesMoved;
        if (times[i].length > 0) found.ms = (found.ms ?? 0) + median(times[i]);
        kinds.set(kind, found);
      });
      const total = (of: "steps" | "flop" | "bytesMoved"): number => costs.reduce((sum, cost) => sum + cost[of], 0);
      return {
        steps: total("steps"),
        flop: total("flop"),
        bytesMoved: total("bytesMoved"),
        peakBytes,
        kinds: [...kinds.values()].sort((a, b) => (b.ms ?? 0) - (a.ms ?? 0) || b.flop - a.flop),
      };
    },
  };
}

/** What one step costs; a loop all its rounds. */
export function costOf(step: Step | Loop): StepKind {
  if ("kernel" in step) {
    const buffers = new Set<Buffer>();
    for (const word of step.words) if (typeof word === "object") buffers.add(word.buffer);
    const bytesMoved = [...buffers].reduce((sum, { bytes }) => sum + bytes, 0);
    return { kind: step.label, steps: 1, flop: step.flop ?? 0, bytesMoved };
  }
  const inside = step.body.map(costOf);
  const total = (of: "steps" | "flop" | "bytesMoved"): number => inside.reduce((sum, cost) => sum + cost[of], 0);
  return {
    kind: "scan",
    steps: total("steps"),
    flop: step.rounds * total("flop"),
    bytesMoved: step.rounds * total("bytesMoved"),
  };
}

function median(values: readonly number[]): number {
  return [...values].sort((a, b) => a - b)[values.length >> 1];
}
