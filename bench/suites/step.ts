import type { Case, Settings } from "../case.ts";
import { trainingStep } from "../training-step.ts";

/** A training step: a long one, where the work counts, and a short one, where everything around it does. */
export function* step(settings: Settings): Iterable<Case> {
  const sizes = [
    { tokens: 2048, batch: 4 },
    { tokens: 64, batch: 2 },
  ];
  const own = settings.tokens === undefined && settings.batch === undefined;
  for (const size of own ? sizes : sizes.slice(0, 1)) yield { label: "", ...trainingStep({ ...size, ...settings }) };
}
