import { type Buffer, type Loop, type Step, storageOf } from "./plan.ts";

/**
 * Neighbouring chains of which none reads or writes what another writes, as one step: their units are shared out together, and workers
 * meet once. A step of training has one chain for each parameter, most of them small.
 */
export function joinChains(steps: readonly (Step | Loop)[]): readonly (Step | Loop)[] {
  const joined: (Step | Loop)[] = [];
  let group: Chained[] = [];
  let touched = new Set<unknown>();
  let written = new Set<unknown>();
  const close = (): void => {
    if (group.length > 0) joined.push(group.length === 1 ? group[0] : together(group));
    [group, touched, written] = [[], new Set(), new Set()];
  };
  for (const step of steps) {
    if (!isChain(step)) {
      close();
      joined.push(step);
      continue;
    }
    const touches = touchedBy(step);
    const writes = step.writes.map(storageOf);
    if (touches.some((x) => written.has(x)) || writes.some((x) => touched.has(x))) close();
    group.push(step);
    for (const x of touches) touched.add(x);
    for (const x of writes) written.add(x);
  }
  close();
  return joined;
}

type Chained = Step & { readonly writes: readonly Buffer[] };

function isChain(step: Step | Loop): step is Chained {
  return "kernel" in step && step.kernel === "chain" && step.writes !== undefined;
}

function touchedBy({ words }: Step): unknown[] {
  return words.flatMap((word) => (typeof word === "object" ? [storageOf(word.buffer)] : []));
}

function together(group: readonly Chained[]): Step {
  const labels = [...new Set(group.map(({ label }) => label))];
  return {
    kernel: "chains",
    words: [group.length, ...group.flatMap(({ words }) => [words.length, ...words])],
    label: labels.length > 2 ? `${labels.slice(0, 2).join(", ")}, …` : labels.join(", "),
    scratch: Math.max(...group.map(({ scratch = 0 }) => scratch)),
    flop: group.reduce((sum, { flop = 0 }) => sum + flop, 0),
    writes: group.flatMap(({ writes }) => writes),
  };
}
