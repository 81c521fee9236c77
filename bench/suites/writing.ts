import { random } from "@fmmformer/autodiff";
import { type AttentionOptions, decoder, generate } from "@fmmformer/models";
import type { Case, Settings } from "../case.ts";

const attentions: readonly AttentionOptions[] = [{ kind: "fmm", bandwidth: 16 }, { kind: "softmax" }];

/** A model of characters fills its window, compiling included: token by token, and as a model without a recurrence would, by whole windows. */
export function* writing({ engine, tokens = 256 }: Settings): Iterable<Case> {
  for (const attention of attentions) {
    const model = decoder({ vocabulary: 65, length: tokens, width: 128, heads: 4, hidden: 512, layers: 4, attention });
    const params = model.init(random.key(0));
    const { init, apply } = model;
    const shape = `n${tokens} c128 h4 layers 4`;
    const whole = `${attention.kind}, whole windows`;
    const write = (layer: typeof model) => () =>
      generate(layer, params, [3], { length: tokens, window: tokens, engine });
    yield { label: `${attention.kind}, token by token`, shape, tokens, run: write(model) };
    yield { label: whole, shape, tokens, run: write({ init, apply }) };
  }
}
