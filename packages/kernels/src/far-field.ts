import {
  broadcastTo,
  concat,
  customVjp,
  expandDims,
  mul,
  ones,
  reshape,
  ShapeError,
  showShape,
  split,
  stack,
  sum,
  swapAxes,
  type Tensor,
  vjp,
  where,
} from "@fmmformer/autodiff";
import { sumTo } from "@fmmformer/autodiff/extend";
import { checkTokens } from "./check-tokens.ts";
import { expectShape } from "./expect-shape.ts";
import { type FeatureMap, l1Normalized } from "./feature-maps.ts";
import { type LowRankFactors, lowRankProduct, pullLowRankProduct } from "./low-rank-product.ts";
import { promoteFloats } from "./promote-floats.ts";
import { normalizeRows, pullRows } from "./row-normalizer.ts";
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
 * with j over all tokens, or j ≤ i when causal. Masked keys are zeroed after the feature map: what they hold changes
 * nothing, NaN included. A row that attends to nothing gives exactly 0 and has gradient 0, also for ε = 0. The max
 * matters only to feature maps of both signs, whose row sums can vanish.
 *
 * @param q - (…b, h, n, d)
 * @param k - (…b, h, n, d)
 * @param v - (…b, h, n, m)
 * @returns (…b, h, n, m), in O(r·n·f·m) time and O(r·n·m) extra memory; with `returnState` the state too
 * @throws ShapeError when sizes differ, RangeError for no feature map or ε < 0
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
  const { causal = false, featureNorm = "none", normalizer = "sum", eps = 1e-6, scale = 1 } = options;
  checkTokens("farField", q, k, v, mask);
  expectOneOf("featureNorm", featureNorm, ["none", "l1"]);
  expectOneOf("normalizer", normalizer, ["none", "sum", "rms"]);
  if (features.length === 0)
    throw new RangeError("farField: expected at least one feature map, got none; pass features: [featureMaps.elu]");
  if (!(eps >= 0)) throw new RangeError(`farField: expected eps ≥ 0, got ${eps}`);
  const weights = typeof combine === "string" ? null : weightsOf(combine, features.length, v);
  const rule: Rule = {
    causal,
    features,
    featureNorm,
    normalizer,
    eps,
    scale,
    combine: typeof combine === "string" ? combine : "weights",
  };
  const [x, y, z, s, w] = promoteFloats([q, k, v, state, weights]);
  const [o, last] = farFieldOp(x, y, z, mask, s, w, rule);
  return options.returnState ? [o, last] : o;
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

/** The static parameters of the op. */
interface Rule extends Required<FarFieldNorms> {
  readonly causal: boolean;
  readonly features: readonly FeatureMap[];
  readonly combine: "sum" | "mean" | "weights";
}

type Maybe = Tensor | null;

// With [v, 1] for v, the normaliser of each feature map is one more column of its state. Cotangents go back the same
// way: to the terms of the feature maps, to the rows x that were read, to features and values, to q and k.

const farFieldOp = customVjp({
  name: "farField",
  forward(q: Tensor, k: Tensor, v: Tensor, mask: Maybe, state: Maybe, weights: Maybe, rule: Rule) {
    const factors = { q: featuresOf(q, rule), k: keysOf(k, mask, rule), v: valuesOf(v, mask), state };
    if (state) checkState(state, factors);
    const [x, last] = lowRankProduct(factors, rule.causal); // (…b, h, r, n, m + 1), (…b, h, r, f, m + 1)
    const terms = normalizeRows(x, rule); // (…b, h, r, n, m)
    const o = mul(sum(weights ? mul(terms, beside(weights)) : terms, { axis: -3 }), scaleOf(rule));
    return [[o, last], { q, k, v, mask, state, weights, rule, x, last }];
  },
  pullback({ q, k, v, mask, state, weights, rule, x, last }, [g, r], needs) {
    const [queries, toQ] = vjp((t: Tensor) => featuresOf(t, rule), q);
    const [keys, toK] = vjp((t: Tensor) => keysOf(t, mask, rule), k);
    const terms = normalizeRows(x, rule);
    const ofSum = expandDims(mul(g, scaleOf(rule)), -3); // (…b, h, 1, n, m)
    const ofTerms = broadcastTo(weights ? mul(ofSum, beside(weights)) : ofSum, terms.shape);
    const factors = { q: queries, k: keys, v: valuesOf(v, mask), state };
    const cts = pullLowRankProduct([pullRows(ofTerms, x, rule), r], factors, { last, causal: rule.causal });
    const [ofValues, ofState] = needs[2] || needs[4] ? cts.vAndState() : [null, null];
    return [
      needs[0] ? toQ(cts.q())[0] : null,
      needs[1] ? toK(cts.k())[0] : null,
      ofValues && split(sum(ofValues, { axis: -3 }), [v.shape[v.shape.length - 1]], { axis: -1 })[0],
      null,
      state && ofState,
      weights && needs[5] ? pullWeights(mul(ofSum, terms), weights) : null,
      null,
    ];
  },
  leading: [3, 3, 3, 1, 4, 3, 0],
});

/** φ_l(x) for all l, (…b, h, r, n, f). */
function featuresOf(x: Tensor, { features, featureNorm }: Rule): Tensor {
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
function keysOf(k: Tensor, mask: Maybe, rule: Rule): Tensor {
  const keys = featuresOf(shown(k, mask), rule);
  return mask ? where(reshape(mask, [...mask.shape.slice(0, -1), 1, 1, ...mask.shape.slice(-1), 1]), keys, 0) : keys;
}

/** Values with a 1 behind, for any feature map: (…b, h, 1, n, m + 1). */
function valuesOf(v: Tensor, mask: Maybe): Tensor {
  const one = ones([...v.shape.slice(0, -1), 1], { dtype: v.dtype });
  return expandDims(concat([shown(v, mask), one], { axis: -1 }), -3);
}

function checkState(state: Tensor, { k, v }: LowRankFactors): void {
  const [h, r, , f] = k.shape.slice(-4);
  expectShape("farField", "state", state, k.shape.slice(0, -4), { h, r, f, "m+1": v.shape[v.shape.length - 1] });
}

function scaleOf({ scale, combine, features }: Rule): number {
  return combine === "mean" ? scale / features.length : scale;
}

/** Weights (…, r, h, m) as they stand beside terms: (…, h, r, 1, m). */
function beside(weights: Tensor): Tensor {
  return expandDims(swapAxes(weights, -3, -2), -2);
}

function pullWeights(products: Tensor, weights: Tensor): Tensor {
  return sumTo(swapAxes(sum(products, { axis: -2 }), -3, -2), weights.shape);
}
