import { add, broadcastTo, concat, iota, mul, random, sub, type Tensor, take, tensor } from "@fmmformer/autodiff";
import { checkName } from "../known-name.ts";
import { dropout } from "./dropout.ts";
import { type EmbeddingParams, embedding } from "./embedding.ts";
import type { Layer, Recurrence } from "./layer.ts";
import { learnedPositions, waves } from "./positions.ts";
import { expectOneToken } from "./recurrence.ts";

/**
 * How tokens are told where they are: a learned table; sines and cosines, added or put beside the token, which then has half the width; the
 * same as language models have them, counted from the end; or not at all.
 */
export type PositionsName = "learned" | "sinusoidal" | "beside" | "reversed" | "none";

const names: readonly PositionsName[] = ["learned", "sinusoidal", "beside", "reversed", "none"];

export interface TokenEmbeddingOptions {
  readonly vocabulary: number;
  /** The most tokens there may be, where positions are learned */
  readonly length: number;
  /** c, the width of a token */
  readonly width: number;
  /** "learned" unless told */
  readonly positions?: PositionsName;
  /** Multiplies the rows of the table; 1 unless told */
  readonly scale?: number;
  /** The standard deviation that tables start with; 0.02 unless told */
  readonly std?: number;
  /** Dropout rate; 0 unless told */
  readonly dropout?: number;
}

export interface TokenEmbeddingParams {
  readonly tokens: EmbeddingParams;
  /** Absent where positions are not learned */
  readonly positions?: EmbeddingParams;
}

/**
 * Tokens as rows, with what tells where they are.
 *
 * @throws TypeError when positions have an unknown name
 */
export function tokenEmbedding(options: TokenEmbeddingOptions): Layer<TokenEmbeddingParams> {
  const { vocabulary, length, width, scale = 1, std = 0.02, dropout: rate = 0 } = options;
  const positions = checkName("tokenEmbedding", "positions", options.positions ?? "learned", names);
  const table = embedding({ vocabulary, width: positions === "beside" ? width / 2 : width, std });
  const places = learnedPositions({ length, width, std });

  function rowsOf(params: TokenEmbeddingParams, tokens: Tensor): Tensor {
    const rows = table.apply(params.tokens, tokens); // (…b, n, c)
    return scale === 1 ? rows : mul(rows, scale);
  }

  /** Rows with what tells their places, (n) of n in all. */
  function placed(x: Tensor, params: TokenEmbeddingParams, at: Tensor, n: number): Tensor {
    const c = x.shape[x.shape.length - 1];
    switch (positions) {
      case "learned":
        return add(x, take((params.positions as EmbeddingParams).table, at));
      case "sinusoidal":
        return add(x, waves(at, c, "pairs"));
      case "beside":
        return concat([x, broadcastTo(waves(at, c, "pairs"), x.shape)], { axis: -1 }); // (…b, n, c)
      case "reversed":
        return add(x, waves(sub(n - 1, at), c, "halves"));
      case "none":
        return x;
    }
  }

  return {
    init(key) {
      const [ofTokens, ofPositions] = random.split(key);
      const tokens = table.init(ofTokens);
      return positions === "learned" ? { tokens, positions: places.init(ofPositions) } : { tokens };
    },
    apply(params, tokens, { key = null } = {}) {
      const rows = rowsOf(params, tokens);
      const n = rows.shape[rows.shape.length - 2];
      const x =
        positions === "learned"
          ? places.apply(params.positions as EmbeddingParams, rows)
          : placed(rows, params, iota(n), n);
      return dropout(rate, x, { key });
    },
    recurrence(n): Recurrence<TokenEmbeddingParams, Tensor> {
      if (positions === "learned" && n > length) {
        throw new RangeError(
          `tokenEmbedding: expected sequences of length ≤ ${length}, for which positions are learned, got ${n}; ` +
            "give the model a larger length, or read fewer tokens at once",
        );
      }
      return {
        start: () => tensor([0], { dtype: "int32" }),
        step(params, tokens, at) {
          expectOneToken("tokenEmbedding", tokens, -1);
          return [placed(rowsOf(params, tokens), params, at, n), add(at, 1)];
        },
      };
    },
  };
}
