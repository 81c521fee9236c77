import {
  add,
  customVjp,
  expandDims,
  matmul,
  moveAxis,
  mul,
  neg,
  pad,
  reshape,
  scan,
  slice,
  squeeze,
  sub,
  sum,
  swapAxes,
  type Tensor,
  triangularSolve,
  tril,
  zeros,
} from "@fmmformer/autodiff";
import { checkTokens } from "./check-tokens.ts";
import { expectShape } from "./expect-shape.ts";
import { promoteFloats } from "./promote-floats.ts";

/** How the delta rule runs. */
export interface FastWeightOptions {
  /** Tokens that are taken together, by products of matrices; 1 is the recurrence. Default 64. */
  readonly chunk?: number;
  /** (…b, h, f, m) the memory Wᵀ to start from. Default: zeros. */
  readonly state?: Tensor | null;
  /** Return `[o, state]`, the last memory with it. */
  readonly returnState?: boolean;
}

/**
 * Attention by a memory that is corrected, not only added to:
 *
 *     W_i = W_{i−1} + β_i (v_i − W_{i−1} k_i) k_iᵀ,   o_i = W_i q_i
 *
 * It stays bounded where ‖k_i‖₂ ≤ 1 (entries ≥ 0 that sum to 1 will do) and 0 ≤ β_i ≤ 1. A token with β_i = 0 writes
 * nothing: set it to 0 where tokens are masked.
 *
 * @param q - (…b, h, n, f) features of queries
 * @param k - (…b, h, n, f) features of keys
 * @param v - (…b, h, n, m)
 * @param beta - (…b, h, n) how far to correct, 0 to 1
 * @returns (…b, h, n, m); with `returnState` the last memory too. In O(n·f·m + n·chunk·(f + m)) time and
 * O(n·m + n·f·m/chunk) extra memory
 * @throws ShapeError when sizes differ, RangeError for a chunk that is not a whole number ≥ 1
 * @see Schlag, Irie, Schmidhuber (2021), Linear transformers are secretly fast weight programmers, section 4.2,
 * https://arxiv.org/abs/2102.11174
 */
export function fastWeight(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  beta: Tensor,
  options: FastWeightOptions & { readonly returnState: true },
): [o: Tensor, state: Tensor];
export function fastWeight(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  beta: Tensor,
  options?: FastWeightOptions & { readonly returnState?: false },
): Tensor;
export function fastWeight(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  beta: Tensor,
  options: FastWeightOptions = {},
): Tensor | [Tensor, Tensor] {
  const { chunk = 64, state } = options;
  if (!(Number.isInteger(chunk) && chunk >= 1))
    throw new RangeError(`fastWeight: expected a whole number ≥ 1 as chunk, got ${chunk}`);
  const { lead, h, n, d: f, m } = checkTokens("fastWeight", q, k, v, null);
  expectShape("fastWeight", "beta", beta, lead, { h, n });
  if (state) expectShape("fastWeight", "state", state, lead, { h, f, m });
  const floats = promoteFloats([q, k, v, beta, state ?? zeros([...lead, h, f, m])]);
  const [o, last] = fastWeightOp(...floats, { chunk });
  return options.returnState ? [o, last] : o;
}

// A chunk begins with the memory S = Wᵀ. With A = I + tril(diag(β) K Kᵀ, −1), the rows of
//
//     U = A⁻¹ diag(β) (V − K S)
//
// are what its tokens write, each after those before it: O = Q S + tril(Q Kᵀ) U, and the next chunk begins with
// S + Kᵀ U. In the pullback λ = A⁻ᵀ dU is the cotangent of diag(β) (V − K S). Solves read A below its diagonal only.

interface Tokens {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  /** (…, n, 1) */
  readonly beta: Tensor;
}

const fastWeightOp = customVjp({
  name: "fastWeight",
  forward(q: Tensor, k: Tensor, v: Tensor, beta: Tensor, state: Tensor, { chunk }: { readonly chunk: number }) {
    const tokens = inChunks({ q, k, v, beta: expandDims(beta, -1) }, chunk);
    const [last, { o, u, begun }] = scan(forwardChunk, state, tokens);
    const n = q.shape[q.shape.length - 2];
    return [[joined(o, n), last], { q, k, v, beta, u: joined(u, n), begun: moveAxis(begun, 0, -3), chunk }];
  },
  pullback({ q, k, v, beta, u, begun, chunk }, [g, r]) {
    const tokens = inChunks({ q, k, v, beta: expandDims(beta, -1), u, g }, chunk);
    const [first, cts] = scan(pullChunk, r, { ...tokens, begun: moveAxis(begun, -3, 0) }, { reverse: true });
    const n = q.shape[q.shape.length - 2];
    return [joined(cts.q, n), joined(cts.k, n), joined(cts.v, n), squeeze(joined(cts.beta, n), -1), first, null];
  },
  leading: [3, 3, 3, 2, 3, 0],
});

function forwardChunk(
  begun: Tensor,
  { q, k, v, beta }: Tokens,
): [Tensor, { readonly o: Tensor; readonly u: Tensor; readonly begun: Tensor }] {
  const a = mul(beta, matmul(k, transposed(k)));
  const u = triangularSolve(a, mul(beta, sub(v, matmul(k, begun))), { unitDiagonal: true });
  const o = add(matmul(q, begun), matmul(tril(matmul(q, transposed(k))), u));
  return [add(begun, matmul(transposed(k), u)), { o, u, begun }];
}

function pullChunk(
  ofEnd: Tensor,
  { q, k, v, beta, u, g, begun }: Tokens & { readonly u: Tensor; readonly g: Tensor; readonly begun: Tensor },
): [Tensor, Tokens] {
  const products = matmul(k, transposed(k));
  const scores = tril(matmul(q, transposed(k)));
  const ofScores = tril(matmul(g, transposed(u)));
  const ofU = add(matmul(transposed(scores), g), matmul(k, ofEnd));
  const lambda = triangularSolve(mul(beta, products), ofU, { unitDiagonal: true, transposeA: true });
  const ofA = neg(tril(matmul(lambda, transposed(u)), -1));
  const ofProducts = mul(beta, ofA);
  const ofV = mul(beta, lambda);
  const ofK = [
    matmul(transposed(ofScores), q),
    matmul(u, transposed(ofEnd)),
    neg(matmul(ofV, transposed(begun))),
    matmul(add(ofProducts, transposed(ofProducts)), k),
  ];
  const ofBeta = [mul(lambda, sub(v, matmul(k, begun))), mul(ofA, products)];
  return [
    sub(add(ofEnd, matmul(transposed(q), g)), matmul(transposed(k), ofV)),
    {
      q: add(matmul(g, transposed(begun)), matmul(ofScores, k)),
      k: ofK.reduce((x, y) => add(x, y)),
      v: ofV,
      beta: ofBeta.map((x) => sum(x, { axis: -1, keepDims: true })).reduce((x, y) => add(x, y)),
    },
  ];
}

function transposed(x: Tensor): Tensor {
  return swapAxes(x, -1, -2);
}

/** Arrays (…, n, w) in chunks (n/chunk, …, chunk, w), the last filled up with tokens of zeros, which write nothing. */
function inChunks<T extends { readonly [name: string]: Tensor }>(arrays: T, chunk: number): T {
  const cut = (x: Tensor): Tensor => {
    const lead = x.shape.slice(0, -2);
    const [n, width] = x.shape.slice(-2);
    const size = Math.max(1, Math.min(chunk, n));
    const count = Math.ceil(n / size);
    const whole = pad(x, [...lead.map((): [number, number] => [0, 0]), [0, count * size - n], [0, 0]]);
    return moveAxis(reshape(whole, [...lead, count, size, width]), -3, 0);
  };
  return Object.fromEntries(Object.entries(arrays).map(([name, x]) => [name, cut(x)])) as T;
}

/** Chunks as one array (…, n, w). */
function joined(chunks: Tensor, n: number): Tensor {
  const x = moveAxis(chunks, 0, -3);
  const lead = x.shape.slice(0, -3);
  const [count, size, width] = x.shape.slice(-3);
  const whole = reshape(x, [...lead, count * size, width]);
  return slice(whole, [], [...lead, n, width]);
}
