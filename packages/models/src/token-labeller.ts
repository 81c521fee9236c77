import { add, matmul, random, type Tensor, transpose, zeros } from "@fmmformer/autodiff";
import { type EncoderOptions, type EncoderParams, encoder } from "./encoder.ts";
import type { Layer } from "./layers/layer.ts";
import { type LinearParams, linear } from "./layers/linear.ts";

export interface TokenLabellerOptions extends EncoderOptions {
  readonly classes: number;
  /** Whether classes are tokens and the head multiplies by the table of their embedding; false unless told */
  readonly tied?: boolean;
}

export interface TokenLabellerParams {
  readonly encoder: EncoderParams;
  /** Without a weight where it is tied */
  readonly head: Partial<LinearParams>;
}

/**
 * Encode sequences and classify each token by a linear map: it takes tokens (…b, n) and gives logits (…b, n, classes).
 *
 * @throws RangeError when the head is tied to a table of another size
 */
export function tokenLabeller(options: TokenLabellerOptions): Layer<TokenLabellerParams> {
  const { width, vocabulary, classes, tied = false } = options;
  if (tied && (classes !== vocabulary || options.positions === "beside")) {
    throw new RangeError(
      `tokenLabeller: expected a table (classes=${classes}, c=${width}) to tie the head to, ` +
        `got (${vocabulary}, ${options.positions === "beside" ? width / 2 : width}); set tied: false`,
    );
  }
  const body = encoder(options);
  const head = linear({ inputs: width, outputs: classes });
  return {
    init(key) {
      const [ofEncoder, ofHead] = random.split(key);
      return {
        encoder: body.init(ofEncoder),
        head: tied ? { bias: zeros([classes]) } : head.init(ofHead),
      };
    },
    apply(params, tokens, call) {
      const x = body.apply(params.encoder, tokens, call); // (…b, n, c)
      if (!tied) return head.apply(params.head as LinearParams, x); // (…b, n, classes)
      const logits = matmul(x, transpose(params.encoder.embedding.tokens.table)); // (…b, n, classes)
      return add(logits, params.head.bias as Tensor);
    },
  };
}
