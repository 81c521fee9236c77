import { concat, mul, random, relu, ShapeError, showShape, sub, type Tensor, take } from "@fmmformer/autodiff";
import { type EncoderOptions, type EncoderParams, encoder } from "./encoder.ts";
import { checkName } from "./known-name.ts";
import type { Layer } from "./layers/layer.ts";
import { type LinearParams, linear } from "./layers/linear.ts";
import { type PoolingName, pool } from "./pooling.ts";

export interface ClassifierOptions extends EncoderOptions {
  readonly classes: number;
  /** "mean" unless told */
  readonly pooling?: PoolingName;
  /** Whether two sequences are classified together; false unless told */
  readonly pairs?: boolean;
}

export interface ClassifierParams {
  readonly encoder: EncoderParams;
  readonly head: { readonly hidden: LinearParams; readonly output: LinearParams };
}

/**
 * Encode sequences, make one row of each, and classify it by a linear map, ReLU, and another:
 *
 *     y = relu(x W_hidden + b_hidden) W_output + b_output
 *
 * It takes tokens (…b, n) and gives logits (…b, classes). With `pairs` it takes (…b, 2, n), encodes both alike, and classifies
 * [x₀, x₁, x₀ ⊙ x₁, x₀ − x₁].
 *
 * @throws ShapeError when tokens are no pairs
 */
export function classifier(options: ClassifierOptions): Layer<ClassifierParams> {
  const { width, hidden, classes, pairs = false, init = "torch" } = options;
  const pooling = checkName("classifier", "pooling", options.pooling ?? "mean", ["mean", "padded-mean"]);
  const body = encoder(options);
  const first = linear({ inputs: pairs ? 4 * width : width, outputs: hidden, init });
  const second = linear({ inputs: hidden, outputs: classes, init });
  return {
    init(key) {
      const [ofEncoder, ofHidden, ofOutput] = random.split(key, 3);
      return { encoder: body.init(ofEncoder), head: { hidden: first.init(ofHidden), output: second.init(ofOutput) } };
    },
    apply(params, tokens, call = {}) {
      if (pairs && tokens.shape[tokens.shape.length - 2] !== 2) {
        throw new ShapeError(`classifier: expected pairs of sequences (…b, 2, n), got ${showShape(tokens.shape)}`);
      }
      const x = pool(pooling, body.apply(params.encoder, tokens, call), call.mask ?? null); // (…b, c)
      const { hidden: inner, output } = params.head;
      return second.apply(output, relu(first.apply(inner, pairs ? compared(x) : x))); // (…b, classes)
    },
  };
}

/** (…b, 2, c) ↦ (…b, 4c): two rows, their product and their difference. */
function compared(x: Tensor): Tensor {
  const [a, b] = [0, 1].map((i) => take(x, i, { axis: -2 })); // (…b, c) each
  return concat([a, b, mul(a, b), sub(a, b)], { axis: -1 });
}
