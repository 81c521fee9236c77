import { expandDims, random, where } from "@fmmformer/autodiff";
import { type BlockOptions, type BlockParams, block } from "./block.ts";
import { dropout as drop } from "./layers/dropout.ts";
import type { Layer, Recurrence } from "./layers/layer.ts";
import { type NormParams, norm } from "./layers/norm.ts";
import { recurrence } from "./layers/recurrence.ts";
import { type TokenEmbeddingOptions, type TokenEmbeddingParams, tokenEmbedding } from "./layers/token-embedding.ts";

export interface EncoderOptions extends BlockOptions, TokenEmbeddingOptions {
  /** How many blocks */
  readonly layers: number;
  /** Whether the last block is followed by a normalisation; true unless told */
  readonly finalNorm?: boolean;
  /** Dropout rate, behind the embedding and each part of a block; 0 unless told */
  readonly dropout?: number;
  /** That behind the embedding, where it is another */
  readonly embeddingDropout?: number;
  /** That of what comes out; 0 unless told */
  readonly finalDropout?: number;
}

export interface EncoderParams {
  readonly embedding: TokenEmbeddingParams;
  readonly blocks: readonly BlockParams[];
  /** Absent without `finalNorm` */
  readonly norm?: NormParams;
}

/** What an encoder remembers of the tokens before one. */
export interface EncoderState {
  readonly embedding: unknown;
  readonly blocks: readonly unknown[];
}

/**
 * Tokens to what they mean in their sequence: embedding, blocks, normalisation.
 *
 * It takes int32 tokens (…b, n) and gives (…b, n, c), zeros at padding. With `causal` row i depends on tokens j ≤ i alone.
 */
export function encoder(options: EncoderOptions): Layer<EncoderParams> {
  const {
    width,
    layers,
    finalNorm = true,
    dropout = 0,
    embeddingDropout = dropout,
    finalDropout = 0,
    init = "torch",
  } = options;
  const embed = tokenEmbedding({ ...options, dropout: embeddingDropout });
  const one = block(options);
  const normalize = norm(options.norm ?? "layer", { width, init });
  return {
    init(key) {
      const [ofEmbedding, ofNorm, ...ofBlocks] = random.split(key, 2 + layers);
      const params = { embedding: embed.init(ofEmbedding), blocks: ofBlocks.map((k) => one.init(k)) };
      return finalNorm ? { ...params, norm: normalize.init(ofNorm) } : params;
    },
    apply(params, tokens, { mask = null, key = null } = {}) {
      const keys = key ? random.split(key, 2 + layers) : [];
      const [ofEmbedding, ...ofBlocks] = keys;
      let x = embed.apply(params.embedding, tokens, { key: ofEmbedding ?? null }); // (…b, n, c)
      for (const [i, p] of params.blocks.entries()) x = one.apply(p, x, { mask, key: ofBlocks[i] ?? null });
      const y = params.norm ? normalize.apply(params.norm, x) : x;
      const z = drop(finalDropout, y, { key: keys[1 + layers] ?? null });
      return mask ? where(expandDims(mask, -1), z, 0) : z;
    },
    ...(one.recurrence && {
      recurrence(length: number): Recurrence<EncoderParams, EncoderState> {
        const [read, walk] = [recurrence(embed, { length }), recurrence(one, { length })];
        return {
          start: (options) => ({
            embedding: read.start(options),
            blocks: Array.from({ length: layers }, () => walk.start(options)),
          }),
          step(params, tokens, state) {
            let [x, embedding] = read.step(params.embedding, tokens, state.embedding); // (…b, 1, c)
            const blocks = params.blocks.map((p, i) => {
              const [y, next] = walk.step(p, x, state.blocks[i]);
              x = y;
              return next;
            });
            return [params.norm ? normalize.apply(params.norm, x) : x, { embedding, blocks }];
          },
        };
      },
    }),
  };
}
