import { add, matmul, random, type Tensor, transpose, zeros } from "@fmmformer/autodiff";
import { type EncoderOptions, type EncoderParams, encoder } from "./encoder.ts";
import { adaptiveSoftmax, type ClusterParams } from "./layers/adaptive-softmax.ts";
import type { Layer, Recurrence } from "./layers/layer.ts";
import { type LinearParams, linear } from "./layers/linear.ts";
import { recurrence } from "./layers/recurrence.ts";
import type { Model } from "./model.ts";

export interface TokenLabellerOptions extends EncoderOptions {
  readonly classes: number;
  /** Whether classes are tokens and the head multiplies by the table of their embedding; false unless told */
  readonly tied?: boolean;
  /** Where clusters of rarer classes begin, as in [20000, 40000, 200000], with the most frequent classes first; none unless told */
  readonly cutoffs?: readonly number[];
}

export interface TokenLabellerParams {
  readonly encoder: EncoderParams;
  /** Without a weight where it is tied; with clusters where there are cutoffs */
  readonly head: Partial<LinearParams> & { readonly clusters?: ClusterParams };
}

/**
 * Encode sequences and classify each token by a linear map: it takes tokens (…b, n) and gives logits (…b, n, classes).
 *
 * With cutoffs the head is an adaptive softmax, the logits are logarithms of probabilities, and the model scores itself without making them:
 * `apply` is O(n·classes) in memory, `score` is not.
 *
 * @throws RangeError when the head is tied to a table of another size, or cutoffs do not ascend below the number of classes
 */
export function tokenLabeller(options: TokenLabellerOptions): Layer<TokenLabellerParams> | Model<TokenLabellerParams> {
  const { width, vocabulary, classes, tied = false, cutoffs = [], init = "torch" } = options;
  if (tied && (classes !== vocabulary || options.positions === "beside")) {
    throw new RangeError(
      `tokenLabeller: expected a table (classes=${classes}, c=${width}) to tie the head to, ` +
        `got (${vocabulary}, ${options.positions === "beside" ? width / 2 : width}); set tied: false`,
    );
  }
  const body = encoder(options);
  const head = linear({ inputs: width, outputs: classes, init });
  const adaptive = cutoffs.length > 0 ? adaptiveSoftmax({ width, classes, cutoffs }) : null;

  const rows = ({ encoder: { embedding }, head: { weight, bias, clusters } }: TokenLabellerParams) => ({
    table: tied ? embedding.tokens.table : transpose(weight as Tensor),
    bias: bias as Tensor,
    clusters: clusters as ClusterParams,
  });

  /** Logits (…b, n, classes) of what was encoded, (…b, n, c). */
  function labels(params: TokenLabellerParams, x: Tensor): Tensor {
    if (adaptive) return adaptive.apply(rows(params), x);
    if (!tied) return head.apply(params.head as LinearParams, x);
    const logits = matmul(x, transpose(params.encoder.embedding.tokens.table));
    return add(logits, params.head.bias as Tensor);
  }

  const plain: Layer<TokenLabellerParams> = {
    init(key) {
      const [ofEncoder, ofHead, ofClusters] = random.split(key, 3);
      return {
        encoder: body.init(ofEncoder),
        head: {
          ...(tied ? { bias: zeros([classes]) } : head.init(ofHead)),
          ...(adaptive && { clusters: adaptive.init(ofClusters) }),
        },
      };
    },
    apply: (params, tokens, call) => labels(params, body.apply(params.encoder, tokens, call)),
    ...(body.recurrence && {
      recurrence(length: number): Recurrence<TokenLabellerParams> {
        const walk = recurrence(body, { length });
        return {
          start: walk.start,
          step(params, tokens, state) {
            const [x, next] = walk.step(params.encoder, tokens, state);
            return [labels(params, x), next];
          },
        };
      },
    }),
  };
  if (!adaptive) return plain;
  return {
    ...plain,
    score: (params, batch, call) => adaptive.score(rows(params), body.apply(params.encoder, batch.tokens, call), batch),
    prepare: adaptive.sort,
  };
}
