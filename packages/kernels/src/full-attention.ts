import {
  add,
  expandDims,
  iota,
  lessEqual,
  matmul,
  mul,
  ShapeError,
  showShape,
  swapAxes,
  type Tensor,
  where,
} from "@fmmformer/autodiff";
import { type AttentionDropout, checkRate, dropping } from "./attention-dropout.ts";
import { checkTokens } from "./check-tokens.ts";
import { maskedSoftmax } from "./masked-softmax.ts";
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
  const dots = mul(matmul(x, swapAxes(shown(y, mask), -1, -2)), options.scale ?? 1 / Math.sqrt(d)); // (…b, h, n, n)
  const biased = b ? add(dots, b) : dots;
  const past = causal ? lessEqual(iota(n), expandDims(iota(n), -1)) : null; // (n, n)
  const logits = [past, mask && expandDims(expandDims(mask, -2), -2)].reduce<Tensor>(
    (t, kept) => (kept ? where(kept, t, -Infinity) : t),
    biased,
  );
  const drop = dropout
    ? dropping(dropout.key, checkRate("fullAttention", dropout.rate), full)
    : (weights: Tensor): Tensor => weights;
  return matmul(drop(maskedSoftmax(logits).weights), shown(z, mask));
}

function stretches(shape: readonly number[], to: readonly number[]): boolean {
  const extra = to.length - shape.length;
  return extra >= 0 && shape.every((size, axis) => size === 1 || size === to[axis + extra]);
}
