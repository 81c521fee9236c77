import {
  add,
  concat,
  cos,
  expandDims,
  iota,
  mul,
  neg,
  reshape,
  type Scalar,
  ShapeError,
  showShape,
  sin,
  slice,
  split,
  stack,
  sub,
  type Tensor,
  tensor,
} from "@fmmformer/autodiff";
import { type EmbeddingParams, embedding } from "./embedding.ts";
import type { Layer } from "./layer.ts";

// What tells tokens where they are: a learned table, sinusoids, or a rotation of queries and keys.

export interface LearnedPositionsOptions {
  /** The most tokens there may be */
  readonly length: number;
  /** c, the width of a token */
  readonly width: number;
  /** The standard deviation that the table starts with; 0.02 unless told */
  readonly std?: number;
}

/**
 * Add a learned row to each token, by its place.
 *
 * @throws ShapeError when there are more tokens than rows
 */
export function learnedPositions({ length, width, std = 0.02 }: LearnedPositionsOptions): Layer<EmbeddingParams> {
  return {
    init: (key) => embedding({ vocabulary: length, width, std }).init(key),
    apply({ table }, x) {
      const n = x.shape[x.shape.length - 2];
      if (n > length) {
        throw new ShapeError(
          `learnedPositions: expected x (…, n ≤ ${length}, c=${width}), got ${showShape(x.shape)}; give a larger length`,
        );
      }
      return add(x, slice(table, [0], [n])); // (…, n, c)
    },
  };
}

export interface SinusoidOptions {
  /** Count from the last token, which is 0, to the first: what a language model sees behind it. Default false. */
  readonly reversed?: boolean;
  /** Sine and cosine of one frequency side by side, or all sines before all cosines. Default "pairs". */
  readonly layout?: "pairs" | "halves";
}

/**
 * Sines and cosines of the place of each token, at wave lengths from 2π to 2π · 10⁴:
 *
 *     p_{i,2c} = sin(i / 10000^{2c/width}),   p_{i,2c+1} = cos(i / 10000^{2c/width})
 *
 * @param n - how many tokens
 * @param width - how many numbers for each, an even number
 * @returns (n, width)
 * @throws RangeError when the width is odd
 * @see Vaswani et al. (2017), Attention is all you need, section 3.5, https://arxiv.org/abs/1706.03762
 */
export function sinusoids(n: number, width: number, options: SinusoidOptions = {}): Tensor {
  const { reversed = false, layout = "pairs" } = options;
  const places = iota(n, { dtype: "float32" });
  return waves(reversed ? sub(n - 1, places) : places, width, layout);
}

/** The sines and cosines of places (n) as `sinusoids` has them, (n, width). */
export function waves(places: Tensor, width: number, layout: "pairs" | "halves"): Tensor {
  if (width % 2 !== 0) throw new RangeError(`sinusoids: expected an even width, got ${width}`);
  const angle = angles(places, width); // (n, width / 2)
  if (layout === "halves") return concat([sin(angle), cos(angle)], { axis: -1 });
  return reshape(stack([sin(angle), cos(angle)], { axis: -1 }), [places.shape[0], width]);
}

/** `rotary`, from the place `first` on, or nothing. */
export function turning(rotates: boolean): (x: Tensor, first?: Scalar) => Tensor {
  return rotates ? (x, first = 0) => rotary(x, { first }) : (x) => x;
}

/** i / 10000^{2c/width} of each place i and frequency c, (n, width / 2). */
function angles(places: Tensor, width: number): Tensor {
  const frequencies = Float32Array.from({ length: width / 2 }, (_, c) => 10_000 ** ((-2 * c) / width));
  return mul(expandDims(places, -1), tensor(frequencies));
}

/**
 * Turn the halves of each query or key about each other by an angle that grows with its place, so that q_i·k_j depends on i − j:
 *
 *     [x₁, x₂] ↦ [x₁ cos θ_i − x₂ sin θ_i, x₁ sin θ_i + x₂ cos θ_i],   θ_i = i / 10000^{2c/d}
 *
 * @param x - (…, n, d), d even
 * @param options.first - the place of the first; 0 unless told
 * @returns (…, n, d)
 * @throws ShapeError when d is odd
 * @see Su, Lu, Pan, Murtadha, Wen, Liu (2021), RoFormer, https://arxiv.org/abs/2104.09864
 */
export function rotary(x: Tensor, { first = 0 }: { readonly first?: Scalar } = {}): Tensor {
  const [n, d] = x.shape.slice(-2);
  if (d % 2 !== 0) throw new ShapeError(`rotary: expected x (…, n, even d), got ${showShape(x.shape)}`);
  const angle = angles(add(iota(n, { dtype: "float32" }), first), d); // (n, d / 2)
  const [left, right] = split(x, 2, { axis: -1 }); // (…, n, d / 2) each
  const turn = (a: Tensor, b: Tensor): Tensor => add(mul(a, cos(angle)), mul(b, sin(angle)));
  return concat([turn(left, neg(right)), turn(right, left)], { axis: -1 });
}
