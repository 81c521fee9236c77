import { fullAttention } from "@fmmformer/kernels";
import { attentionCases } from "../attention-cases.ts";
import type { Case, Settings } from "../case.ts";

/** Attention of every token to every other; `--tokens 4096` for what it costs where both fields are meant to be used. */
export function softmax(settings: Settings): Iterable<Case> {
  const { tokens: n = 1024, batch: b = 1 } = settings;
  return attentionCases("", (q, k, v) => fullAttention(q, k, v), settings, { b, h: 4, n, d: 32 });
}
