import { add } from "@fmmformer/autodiff";
import { farField, featureMaps, nearField } from "@fmmformer/kernels";
import { type Attend, drawnHeads, forwardAndBackward } from "../attention-cases.ts";
import type { Case, Settings } from "../case.ts";

const fields: Attend = (q, k, v) =>
  add(nearField(q, k, v, { bandwidth: 11 }), farField(q, k, v, { features: [featureMaps.elu] }));

/** Both fields as in the training step, forward and backward, on longer and longer sequences: what a token costs should stay the same. */
export function* scaling({ engine, tokens, batch: b = 1 }: Settings): Iterable<Case> {
  for (const n of tokens === undefined ? [1024, 4096, 16_384, 65_536, 262_144] : [tokens]) {
    const shape = [b, 2, n, 32];
    const [q, k, v, g] = drawnHeads(shape);
    const both = forwardAndBackward(fields, { engine });
    yield {
      label: "forward+backward",
      shape: `b${b} h2 n${n} d32`,
      run: () => both(q, k, v, g),
      stats: both.stats,
      tokens: b * n,
    };
  }
}
