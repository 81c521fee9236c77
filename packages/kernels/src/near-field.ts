import { customVjp, expandDims, mul, squeeze, sub, sum, type Tensor } from "@fmmformer/autodiff";
import { sumTo } from "@fmmformer/autodiff/extend";
import { type AttentionDropout, checkRate, drawDropped, drop } from "./attention-dropout.ts";
import type { AttentionOp } from "./attention-op.ts";
import { bandDot, bandMatmul, bandTranspose, type Sides } from "./band.ts";
import { bandLogits } from "./band-softmax.ts";
import { checkTokens } from "./check-tokens.ts";
import { expectShape } from "./expect-shape.ts";
import { maskedSoftmax, weightsOf } from "./masked-softmax.ts";
import { promoteFloats } from "./promote-floats.ts";
import { shown } from "./shown.ts";

/** What the near field does. */
export interface NearFieldOptions {
  /** Token i attends to j where |i − j| < bandwidth. */
  readonly bandwidth: number;
  /** To j ≤ i only. Default false. */
  readonly causal?: boolean;
  /** (…b, n), 1 or true keeps a token as key. */
  readonly mask?: Tensor | null;
  /** (h, slots), added to the scores of each diagonal: slots = 2·bandwidth − 1, or bandwidth when causal, the earliest key first. */
  readonly bias?: Tensor | null;
  /** Multiplies q·k. Default 1/√d. */
  readonly scale?: number;
  /** Drops weights after the softmax, whose normaliser stays that of all. */
  readonly dropout?: AttentionDropout | null;
}

/**
 * Attend to the tokens nearby, by a softmax over a band:
 *
 *     t_ij = scale · q_i·k_j + b_{j−i},   p_ij = e^{t_ij} / Σ_j e^{t_ij},   o_i = Σ_j p_ij v_j,   |i − j| < bandwidth
 *
 * Rows near the ends have fewer keys. Masked keys change nothing, whatever they hold, NaN included; a row whose keys are all masked gives
 * exactly 0 and has gradient 0. Shifted by the largest score, nothing overflows.
 *
 * @param q - (…b, h, n, d) queries
 * @param k - (…b, h, n, d) keys
 * @param v - (…b, h, n, m) values
 * @returns (…b, h, n, m), in O(n·w·(d + m)) time and O(n·w) extra memory
 * @throws ShapeError when sizes differ, RangeError when bandwidth is no integer ≥ 1 or the dropout rate not in [0, 1)
 * @see Nguyen, Suliafu, Osher, Chen, Wang (2021), FMMformer, section 3.1, https://arxiv.org/abs/2108.02347
 */
export function nearField(q: Tensor, k: Tensor, v: Tensor, options: NearFieldOptions): Tensor {
  const { bandwidth, causal = false, mask = null, bias = null, dropout = null } = options;
  if (!(bandwidth >= 1)) throw new RangeError(`nearField: expected bandwidth ≥ 1, got ${bandwidth}`);
  if (!Number.isInteger(bandwidth)) throw new RangeError(`nearField: expected a whole bandwidth, got ${bandwidth}`);
  const { lead, h, n, d } = checkTokens("nearField", q, k, v, mask);
  const { left, right } = sidesOf({ bandwidth, causal });
  const slots = left + right + 1;
  if (bias) expectShape("nearField", "bias", bias, [], { h, slots });
  const rule: Rule = { bandwidth, causal, scale: options.scale ?? 1 / Math.sqrt(d) };
  const [x, y, z, b] = promoteFloats([q, k, v, bias]);
  if (!dropout) return nearFieldOp(x, y, z, mask, b, null, rule);
  const rate = checkRate("nearField", dropout.rate);
  return nearFieldOp(x, y, z, mask, b, drawDropped(dropout, [...lead, h, n, slots]), { ...rule, rate });
}

/** The static parameters of the op. */
interface Rule {
  readonly bandwidth: number;
  readonly causal: boolean;
  readonly scale: number;
  /** Of dropout; absent without. */
  readonly rate?: number;
}

type Maybe = Tensor | null;

/** How many keys before and after each query the near field covers: what band ops take. */
export function sidesOf({ bandwidth, causal = false }: Pick<NearFieldOptions, "bandwidth" | "causal">): Sides {
  return { left: bandwidth - 1, right: causal ? 0 : bandwidth - 1 };
}

function scores(q: Tensor, k: Tensor, mask: Maybe, bias: Maybe, rule: Rule): Tensor {
  const sides = sidesOf(rule);
  return bandLogits(mul(bandDot(q, k, sides), rule.scale), mask, bias, sides);
}

// With g the cotangent of o, z the dropout (1 without), D_i = g_i·o_i and p computed again from L:
//
//     ds_ij = p_ij (z_ij g_i·v_j − D_i),   dq_i = s Σ_j ds_ij k_j,   dk_j = s Σ_i ds_ij q_i,   dv_j = Σ_i p_ij z_ij g_i,   db_δ = Σ_i ds_{i,i+δ}

const op: AttentionOp<Rule> = {
  name: "nearField",
  forward(q, k, v, mask, bias, dropped, rule) {
    const t = scores(q, shown(k, mask), mask, bias, rule); // (…b, h, n, slots)
    const { weights, logSumExp } = maskedSoftmax(t);
    const o = bandMatmul(drop(weights, dropped, rule.rate), shown(v, mask), sidesOf(rule)); // (…b, h, n, m)
    return [o, { q, k, v, mask, bias, dropped, rule, o, logSumExp: squeeze(logSumExp, -1) }];
  },
  pullback({ q, k, v, mask, bias, dropped, rule, o, logSumExp }, g, needs) {
    const sides = sidesOf(rule);
    const across = { left: sides.right, right: sides.left };
    const [keys, values] = [shown(k, mask), shown(v, mask)];
    const t = scores(q, keys, mask, bias, rule);
    const p = weightsOf(t, expandDims(logSumExp, -1));
    const d = sum(mul(g, o), { axis: -1, keepDims: true }); // (…b, h, n, 1)
    const ds = mul(p, sub(drop(bandDot(g, values, sides), dropped, rule.rate), d));
    return [
      needs[0] ? mul(bandMatmul(ds, keys, sides), rule.scale) : null,
      needs[1] ? mul(bandMatmul(bandTranspose(ds, sides), q, across), rule.scale) : null,
      needs[2] ? bandMatmul(bandTranspose(drop(p, dropped, rule.rate), sides), g, across) : null,
      null,
      bias && needs[4] ? sumTo(sum(ds, { axis: -2 }), bias.shape) : null,
      null,
      null,
    ];
  },
};

const nearFieldOp = customVjp({ ...op, kernel: true, leading: [3, 3, 3, 1, 2, 3, 0] });
