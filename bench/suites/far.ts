import { farField, featureMaps } from "@fmmformer/kernels";
import { attentionCases } from "../attention-cases.ts";
import type { Case, Settings } from "../case.ts";

/** Linear attention with elu + 1, looking both ways and back only. */
export function* far(settings: Settings): Iterable<Case> {
  const { tokens: n = 4096, batch: b = 1 } = settings;
  for (const causal of [false, true]) {
    yield* attentionCases(
      causal ? "causal" : "bidirectional",
      (q, k, v) => farField(q, k, v, { features: [featureMaps.elu], causal }),
      settings,
      { b, h: 4, n, d: 32 },
    );
  }
}
