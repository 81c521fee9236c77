import {
  add,
  customVjp,
  expandDims,
  iota,
  lessEqual,
  matmul,
  mul,
  reshape,
  ShapeError,
  showShape,
  squeeze,
  sub,
  sum,
  swapAxes,
  type Tensor,
  where,
} from "@fmmformer/autodiff";
import { sumTo } from "@fmmformer/autodiff/extend";
import { type AttentionDropout, checkRate, drawDropped, drop } from "./attention-dropout.ts";
import type { AttentionOp } from "./attention-op.ts";
import { checkTokens } from "./check-tokens.ts";
import { maskedSoftmax, weightsOf } from "./masked-softmax.ts";
import { promoteFloats } from "./promote-floats.ts";
import { shown } from "./shown.ts";

/** What full attention does. */
export interface FullAttentionOptions {
  /** Token i attends to j ≤ i. Default false: to all. */
  readonly causal?: boolean;
  /** (…b, n), 1 or true keeps a token as key. */
  readonly mask?: Tensor | null;
  /** Added to the scores; any shape that broadcasts to (…b, h, n, n). */
  readonly bias?: Tensor | null;
  /** Multiplies q·k. Default 1/√d. */
  readonly scale?: number;
  /** Drops weights after the softmax. */
  readonly dropout?: AttentionDropout | null;
}

/**
 * Attend to all tokens, by a softmax over all pairs:
 *
 *     t_ij = scale · q_i·k_j + b_ij,   p_ij = e^{t_ij} / Σ_j e^{t_ij},   o_i = Σ_j p_ij v_j,   j ≤ i when causal
 *
 * Masked keys change nothing, whatever they hold; a row whose keys are all masked gives exactly 0 and has gradient 0.
 *
 * @param q - (…b, h, n, d) queries
 * @param k - (…b, h, n, d) keys
 * @param v - (…b, h, n, m) values
 * @returns (…b, h, n, m), in O(n²·(d + m)) time and O(n²) memory
 * @throws ShapeError when sizes differ, RangeError when the dropout rate is not in [0, 1)
 * @see Vaswani et al. (2017), Attention is all you need, equation 1, https://arxiv.org/abs/1706.03762
 */
export function fullAttention(q: Tensor, k: Tensor, v: Tensor, options: FullAttentionOptions = {}): Tensor {
  const { causal = false, mask = null, bias = null, dropout = null } = options;
  const { lead, h, n, d } = checkTokens("fullAttention", q, k, v, mask);
  const full = [...lead, h, n, n];
  if (bias && !stretches(bias.shape, full)) {
    throw new ShapeError(
      `fullAttention: expected bias that stretches to (${[...lead, `h=${h}`, `n=${n}`, `n=${n}`].join(", ")}), got ${showShape(bias.shape)}`,
    );
  }
  const [x, y, z, b] = promoteFloats([q, k, v, bias]);
  const stretched = b && reshape(b, [...new Array<number>(Math.max(0, 3 - b.shape.length)).fill(1), ...b.shape]);
  const rule: Rule = { causal, scale: options.scale ?? 1 / Math.sqrt(d) };
  if (!dropout) return fullAttentionOp(x, y, z, mask, stretched, null, rule);
  const rate = checkRate("fullAttention", dropout.rate);
  return fullAttentionOp(x, y, z, mask, stretched, drawDropped(dropout, full), { ...rule, rate });
}

/** The static parameters of the op. */
interface Rule {
  readonly causal: boolean;
  readonly scale: number;
  /** Of dropout; absent without. */
  readonly rate?: number;
}

type Maybe = Tensor | null;

/** Logits (…b, h, n, n), −∞ where a key does not count; k is 0 where masked. */
function logitsOf(q: Tensor, k: Tensor, mask: Maybe, bias: Maybe, { causal, scale }: Rule): Tensor {
  const n = q.shape[q.shape.length - 2];
  const dots = mul(matmul(q, transposed(k)), scale);
  const past = causal ? lessEqual(iota(n), expandDims(iota(n), -1)) : null; // (n, n)
  return [past, mask && expandDims(expandDims(mask, -2), -2)].reduce<Tensor>(
    (t, kept) => (kept ? where(kept, t, -Infinity) : t),
    bias ? add(dots, bias) : dots,
  );
}

// With g the cotangent of o, z the dropout (1 without), D_i = g_i·o_i and p computed again from L:
//
//     ds_ij = p_ij (z_ij g_i·v_j − D_i),   dq_i = s Σ_j ds_ij k_j,   dk_j = s Σ_i ds_ij q_i,   dv_j = Σ_i p_ij z_ij g_i,   db_ij = ds_ij

const op: AttentionOp<Rule> = {
  name: "fullAttention",
  forward(q, k, v, mask, bias, dropped, rule) {
    const t = logitsOf(q, shown(k, mask), mask, bias, rule);
    const { weights, logSumExp } = maskedSoftmax(t);
    const o = matmul(drop(weights, dropped, rule.rate), shown(v, mask)); // (…b, h, n, m)
    return [o, { q, k, v, mask, bias, dropped, rule, o, logSumExp: squeeze(logSumExp, -1) }];
  },
  pullback({ q, k, v, mask, bias, dropped, rule, o, logSumExp }, g, needs) {
    const [keys, values] = [shown(k, mask), shown(v, mask)];
    const t = logitsOf(q, keys, mask, bias, rule);
    const p = weightsOf(t, expandDims(logSumExp, -1));
    const d = sum(mul(g, o), { axis: -1, keepDims: true }); // (…b, h, n, 1)
    const ds = mul(p, sub(drop(matmul(g, transposed(values)), dropped, rule.rate), d));
    return [
      needs[0] ? mul(matmul(ds, keys), rule.scale) : null,
      needs[1] ? mul(matmul(transposed(ds), q), rule.scale) : null,
      needs[2] ? matmul(transposed(drop(p, dropped, rule.rate)), g) : null,
      null,
      bias && needs[4] ? sumTo(ds, bias.shape) : null,
      null,
      null,
    ];
  },
};

const fullAttentionOp = customVjp({ ...op, kernel: true, leading: [3, 3, 3, 1, 3, 3, 0] });

function transposed(x: Tensor): Tensor {
  return swapAxes(x, -1, -2);
}

function stretches(shape: readonly number[], to: readonly number[]): boolean {
  const extra = to.length - shape.length;
  return extra >= 0 && shape.every((size, axis) => size === 1 || size === to[axis + extra]);
}
