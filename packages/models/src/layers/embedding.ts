import { DTypeError, mul, random, type Tensor, take } from "@fmmformer/autodiff";
import type { Layer } from "./layer.ts";

export interface EmbeddingOptions {
  /** How many ids there are */
  readonly vocabulary: number;
  /** c, the width of a row */
  readonly width: number;
  /** The standard deviation that rows start with; 0.02 unless told */
  readonly std?: number;
}

export interface EmbeddingParams {
  /** (vocabulary, c) */
  readonly table: Tensor;
}

/**
 * A row of a table for each token id; the table starts normal.
 *
 * @throws DTypeError when ids are not int32 / RangeError when one is outside 0 … vocabulary − 1
 */
export function embedding({ vocabulary, width, std = 0.02 }: EmbeddingOptions): Layer<EmbeddingParams> {
  return {
    init: (key) => ({ table: mul(random.normal(key, [vocabulary, width]), std) }),
    apply({ table }, tokens) {
      if (tokens.dtype !== "int32") {
        throw new DTypeError(`embedding: expected int32 token ids, got ${tokens.dtype}; cast them first`);
      }
      return take(table, tokens); // (…, c)
    },
  };
}
