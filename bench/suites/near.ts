import { nearField } from "@fmmformer/kernels";
import { attentionCases } from "../attention-cases.ts";
import type { Case, Settings } from "../case.ts";

/** The band: long sequences, and short ones of many heads (b·h 8). */
export function* near(settings: Settings): Iterable<Case> {
  const { tokens, batch } = settings;
  const bands = [
    { b: 1, n: 4096, bandwidths: [11, 65] },
    { b: 2, n: 1024, bandwidths: [6, 11, 65] },
  ];
  for (const { b, n, bandwidths } of bands) {
    for (const bandwidth of bandwidths) {
      const sizes = { b: batch ?? b, h: 4, n: tokens ?? n, d: 32 };
      yield* attentionCases(`bandwidth ${bandwidth}`, (q, k, v) => nearField(q, k, v, { bandwidth }), settings, sizes);
    }
  }
}
