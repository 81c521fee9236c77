import { applyState, applyStateTransposed, type FarFieldShape, outerSum } from "./low-rank.ts";
import type { Gpu } from "./open-gpu.ts";

/**
 * Sums keys and values to the state that every query of the bidirectional far field reads:
 *
 *     S = Σ_j φ(k_j) [v_j, 1]ᵀ
 *
 * The last column is the normaliser's, Σ_j φ(k_j). Masked tokens are left out here, after the feature map, since φ(0)
 * need not be 0: what their rows hold does not matter, and when all are masked the state is exactly 0. Several feature
 * maps are several states.
 *
 * @param k - (b, h, n, f) φ of the keys
 * @param v - (b, h, n, m) values
 * @param mask - (b, n), 1 keeps and 0 masks a token in all heads
 * @returns (b, h, f, m + 1), in O(n·f·m) time and O(√n·f·m) extra memory
 * @throws ShapeError when an array has another size
 */
export function farFieldState(
  gpu: Gpu,
  { k, v, mask }: { k: Float32Array; v: Float32Array; mask?: Float32Array | undefined },
  { b, h, n, f, m }: FarFieldShape,
): Promise<Float32Array> {
  return outerSum(gpu, { x: k, y: v, mask }, { b, h, n, f, m, last: 1 });
}

/**
 * Takes the cotangent R of the state to the keys and values, 0 at masked tokens:
 *
 *     dφ(k_j) = R [v_j, 1],   dv_j = (Rᵀ φ(k_j))_{1:m}
 *
 * @param g - (b, h, f, m + 1) cotangent
 * @returns k: (b, h, n, f) and v: (b, h, n, m), in O(n·f·m) time
 */
export async function farFieldStatePullback(
  gpu: Gpu,
  { g, k, v, mask }: { g: Float32Array; k: Float32Array; v: Float32Array; mask?: Float32Array | undefined },
  { b, h, n, f, m }: FarFieldShape,
): Promise<{ k: Float32Array; v: Float32Array }> {
  const shape = { b, h, n, f, m, last: 1 } as const;
  return {
    k: await applyStateTransposed(gpu, { y: v, state: g, mask }, shape),
    v: await applyState(gpu, { x: k, state: g, mask }, shape),
  };
}
