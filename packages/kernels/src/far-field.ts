import {
  add,
  equal,
  expandDims,
  mean,
  mul,
  reshape,
  rsqrt,
  ShapeError,
  showShape,
  stack,
  sum,
  swapAxes,
  type Tensor,
  where,
} from "@fmmformer/autodiff";
import { checkTokens } from "./check-tokens.ts";
import { type FeatureMap, l1Normalized } from "./feature-maps.ts";
import { lowRankField, lowRankFieldBeyond } from "./low-rank-field.ts";
import { promoteFloats } from "./promote-floats.ts";
import { shown } from "./shown.ts";

/** How features become outputs. The paper and its authors' three code bases differ in these: `farFieldPresets`. */
export interface FarFieldNorms {
  /** "l1" divides the features of each query and key by their ℓ1 norm. Default "none". */
  readonly featureNorm?: "none" | "l1";
  /** What divides the row of a feature map: Σ_j φ(q_i)·φ(k_j) + ε, its root mean square, or nothing. Default "sum". */
  readonly normalizer?: "none" | "sum" | "rms";
  /** ε ≥ 0 of the normaliser; under the root for "rms". Default 1e-6. */
  readonly eps?: number;
  /** Multiplies the result. Default 1. */
  readonly scale?: number;
}

/** What the far field does. */
export interface FarFieldOptions extends FarFieldNorms {
  /** One low-rank term each, with a normaliser of its own. All of one width f. */
  readonly features: readonly FeatureMap[];
  /** Token i attends to j ≤ i. Default false: to all. */
  readonly causal?: boolean;
  /** Token i attends to |i − j| ≥ beyond: to what a near field of that bandwidth leaves out. Default 0: to all. Without states. */
  readonly beyond?: number;
  /** (…b, n), 1 or true keeps a token as key. */
  readonly mask?: Tensor | null;
  /** How the terms are added up: as they are, averaged, or with weights (r), (r, h) or (r, h, m). Default "sum". */
  readonly combine?: "sum" | "mean" | Tensor;
  /** (…b, h, r, f, m + 1) Σ φ(k_j) [v_j, 1]ᵀ of tokens that came before. Default: none did. */
  readonly state?: Tensor | null;
  /** Return `[o, state]`, the state with these tokens in it. */
  readonly returnState?: boolean;
}

/**
 * Low-rank attention through feature maps φ_l, l = 1 … r:
 *
 *     S = Σ_j φ_l(k_j) [v_j, 1]ᵀ,   x_i = Sᵀ φ_l(q_i),   o_i = scale · Σ_l w_l x_{i,1:m} / (max(x_{i,m+1}, 0) + ε)
 *
 * with j over all tokens, or j ≤ i when causal, or those beyond a band. Masked keys are zeroed after the feature map: what
 * they hold changes nothing, NaN included. A row that attends to nothing gives exactly 0 and has gradient 0, also for ε = 0. The max
 * matters only to feature maps of both signs, whose row sums can vanish.
 *
 * @param q - (…b, h, n, d)
 * @param k - (…b, h, n, d)
 * @param v - (…b, h, n, m)
 * @returns (…b, h, n, m), in O(r·n·f·m) time and O(r·n·m) extra memory; with `returnState` the state too
 * @throws ShapeError when sizes differ, RangeError for no feature map, ε < 0, or a band to leave out that is no integer ≥ 0 or
 * has a state beside it
 * @see Nguyen, Suliafu, Osher, Chen, Wang (2021), FMMformer, https://arxiv.org/abs/2108.02347
 */
export function farField(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  options: FarFieldOptions & { readonly returnState: true },
): [o: Tensor, state: Tensor];
export function farField(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  options: FarFieldOptions & { readonly returnState?: false },
): Tensor;
export function farField(q: Tensor, k: Tensor, v: Tensor, options: FarFieldOptions): Tensor | [Tensor, Tensor] {
  const { features, mask = null, state = null, combine = "sum" } = options;
  const { causal = false, beyond = 0, featureNorm = "none", normalizer = "sum", eps = 1e-6, scale = 1 } = options;
  checkTokens("farField", q, k, v, mask);
  expectOneOf("featureNorm", featureNorm, ["none", "l1"]);
  expectOneOf("normalizer", normalizer, ["none", "sum", "rms"]);
  if (typeof combine === "string") expectOneOf("combine", combine, ["sum", "mean"]);
  if (features.length === 0)
    throw new RangeError("farField: expected at least one feature map, got none; pass features: [featureMaps.elu]");
  if (!(eps >= 0)) throw new RangeError(`farField: expected eps ≥ 0, got ${eps}`);
  if (!Number.isInteger(beyond) || beyond < 0)
    throw new RangeError(`farField: expected beyond to be an integer ≥ 0, got ${beyond}`);
  if (beyond > 0 && (state || options.returnState))
    throw new RangeError(
      `farField: expected beyond=0 where there is a state, got ${beyond}; give keys that have left the band`,
    );
  const weights = typeof combine === "string" ? null : weightsOf(combine, features.length, v);
  const [x, y, z, s, w] = promoteFloats([q, k, v, state, weights]);
  const rule = { causal, divide: normalizer === "sum", eps: normalizer === "sum" ? eps : 0 };
  const mapped = { features, featureNorm };
  const rows = [featuresOf(x, mapped), keysOf(y, mask, mapped), shown(z, mask)] as const;
  const [read, last] = beyond > 0 ? [lowRankFieldBeyond(...rows, beyond, rule)] : lowRankField(...rows, s, rule);
  const terms = normalizer === "rms" ? rmsRows(read, eps) : read; // (…b, h, r, n, m)
  const o = mul(
    sum(w ? mul(terms, beside(w)) : terms, { axis: -3 }),
    combine === "mean" ? scale / features.length : scale,
  );
  return options.returnState && last ? [o, last] : o;
}

function expectOneOf(option: string, value: string, known: readonly string[]): void {
  if (known.includes(value)) return;
  throw new RangeError(`farField: expected ${option} ${known.map((x) => `"${x}"`).join(" or ")}, got "${value}"`);
}

/** Weights as (r, h or 1, m or 1). */
function weightsOf(weights: Tensor, r: number, v: Tensor): Tensor {
  const [h, m] = [v.shape[v.shape.length - 3], v.shape[v.shape.length - 1]];
  const { shape } = weights;
  if (shape.length < 1 || shape.length > 3 || shape.some((size, axis) => size !== [r, h, m][axis])) {
    throw new ShapeError(
      `farField: expected combine (r=${r}), (r=${r}, h=${h}) or (r=${r}, h=${h}, m=${m}), got ${showShape(shape)}`,
    );
  }
  return reshape(weights, [...shape, 1, 1].slice(0, 3));
}

type Maybe = Tensor | null;

/** Which features there are. */
type Mapped = Pick<FarFieldOptions, "features"> & Required<Pick<FarFieldOptions, "featureNorm">>;

/** φ_l(x) for all l, (…b, h, r, n, f). */
function featuresOf(x: Tensor, { features, featureNorm }: Mapped): Tensor {
  const rows = x.shape.slice(0, -1);
  const maps = features.map(({ apply }) => apply(x));
  const f = maps[0].shape[maps[0].shape.length - 1];
  features.forEach(({ name }, l) => {
    const { shape } = maps[l];
    if (showShape(shape) === showShape([...rows, f])) return;
    throw new ShapeError(
      `farField: expected features (${rows.join(", ")}, f=${f}) from ${name}, got ${showShape(shape)}; ` +
        "one width for all, one row a token",
    );
  });
  const all = stack(maps, { axis: -3 });
  return featureNorm === "l1" ? l1Normalized(all) : all;
}

/** Features of keys, 0 where masked. Masked rows are zeroed before the map too, whose pullback must not meet a NaN. */
function keysOf(k: Tensor, mask: Maybe, mapped: Mapped): Tensor {
  const keys = featuresOf(shown(k, mask), mapped);
  return mask ? where(reshape(mask, [...mask.shape.slice(0, -1), 1, 1, ...mask.shape.slice(-1), 1]), keys, 0) : keys;
}

/** Weights (…, r, h, m) as they stand beside terms: (…, h, r, 1, m). */
function beside(weights: Tensor): Tensor {
  return expandDims(swapAxes(weights, -3, -2), -2);
}

/** Rows divided by the root of their mean square + ε; rows of zeros stay so, with gradient 0. */
function rmsRows(x: Tensor, eps: number): Tensor {
  const square = add(mean(mul(x, x), { axis: -1, keepDims: true }), eps);
  const zero = equal(square, 0);
  return where(zero, 0, mul(x, rsqrt(where(zero, 1, square))));
}
