import type { Kernel } from "./kernel.ts";
import { applyState, applyStateTransposed, type FarFieldShape, outerSum } from "./low-rank.ts";
import type { Gpu } from "./open-gpu.ts";

/** How a row that was read from the state is divided: not at all, or by its last entry plus `eps`. */
export interface Normalization {
  readonly normalizer: "none" | "sum";
  /** ≥ 0, for "sum"; default 1e-6. */
  readonly eps?: number;
}

/** Divides the first m entries of each row x by the last, as `farFieldRead` does. */
export function normalizeKernel({ b, h, n, m }: Omit<FarFieldShape, "f">, { eps }: { eps: number }): Kernel {
  return {
    name: "normalize",
    inputs: { x: { b·h: b * h, n, "m+1": m + 1 } },
    output: { z: b * h, i: n, c: m },
    body: `
      const sum = x[z][i][${m}] + ${literal(eps)};
      let o = 0;
      if (sum !== 0) o = x[z][i][c] / sum;
      return o;`,
  };
}

/** The cotangent of `normalizeKernel` to x: [g / s, −(g·o) / s] with s the last entry plus `eps`. */
export function normalizePullbackKernel({ b, h, n, m }: Omit<FarFieldShape, "f">, { eps }: { eps: number }): Kernel {
  return {
    name: "normalize.pullback",
    inputs: { g: { b·h: b * h, n, m }, x: { b·h: b * h, n, "m+1": m + 1 } },
    output: { z: b * h, i: n, c: m + 1 },
    body: `
      const sum = x[z][i][${m}] + ${literal(eps)};
      if (sum === 0) return 0;
      if (c < ${m}) return g[z][i][c] / sum;
      let dot = 0;
      for (let a = 0; a < ${m}; a++) dot += g[z][i][a] * (x[z][i][a] / sum);
      return -dot / sum;`,
  };
}

/**
 * Reads the far field of each query from the state of `farFieldState`:
 *
 *     x_i = Sᵀ φ(q_i),   o_i = x_{i,1:m}                   normalizer "none"
 *                        o_i = x_{i,1:m} / (x_{i,m+1} + ε)   normalizer "sum"
 *
 * Where the divisor is exactly 0, as for ε = 0 when every token is masked, o_i and its gradient are 0.
 *
 * @param q - (b, h, n, f) φ of the queries
 * @param state - (b, h, f, m + 1)
 * @returns (b, h, n, m), in O(n·f·m) time and, for "sum", O(n·m) extra memory
 * @throws ShapeError when an array has another size; RangeError when eps is not ≥ 0
 */
export async function farFieldRead(
  gpu: Gpu,
  { q, state }: { q: Float32Array; state: Float32Array },
  { normalizer, eps = 1e-6, ...shape }: FarFieldShape & Normalization,
): Promise<Float32Array> {
  if (normalizer === "none") return applyState(gpu, { x: q, state }, { ...shape, last: 0 });
  const x = await applyState(gpu, { x: q, state }, { ...shape, last: "stored" });
  return gpu.run(normalizeKernel(shape, { eps }), { x });
}

/**
 * Takes the cotangent of `farFieldRead` to the queries and the state:
 *
 *     h_i = [g_i, 0]   or   [g_i, −g_i·o_i] / (x_{i,m+1} + ε)
 *     dφ(q_i) = S h_i,   dS = Σ_i φ(q_i) h_iᵀ
 *
 * The rows x are read once more rather than kept.
 *
 * @param g - (b, h, n, m) cotangent
 * @returns q: (b, h, n, f) and state: (b, h, f, m + 1), in O(n·f·m) time and O(n·m + √n·f·m) extra memory
 */
export async function farFieldReadPullback(
  gpu: Gpu,
  { g, q, state }: { g: Float32Array; q: Float32Array; state: Float32Array },
  { normalizer, eps = 1e-6, ...shape }: FarFieldShape & Normalization,
): Promise<{ q: Float32Array; state: Float32Array }> {
  const last = normalizer === "none" ? 0 : "stored";
  let y = g;
  if (normalizer === "sum") {
    const x = await applyState(gpu, { x: q, state }, { ...shape, last });
    y = await gpu.run(normalizePullbackKernel(shape, { eps }), { g, x });
  }
  return {
    q: await applyStateTransposed(gpu, { y, state }, { ...shape, last }),
    state: await outerSum(gpu, { x: q, y }, { ...shape, last }),
  };
}

function literal(eps: number): string {
  if (!(eps >= 0 && eps < Number.POSITIVE_INFINITY)) {
    throw new RangeError(`farFieldRead: expected a finite eps ≥ 0, got ${eps}`);
  }
  return String(eps);
}
