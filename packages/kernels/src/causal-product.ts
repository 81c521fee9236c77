import {
  broadcastTo,
  expandDims,
  ones,
  ShapeError,
  showShape,
  squeeze,
  swapAxes,
  type Tensor,
  zeros,
  zerosLike,
} from "@fmmformer/autodiff";
import { allocate, bind, Dense, type Primitive, sizeOf } from "@fmmformer/autodiff/extend";
import { expectShape } from "./expect-shape.ts";
import { promoteFloats } from "./promote-floats.ts";

// The causal product is closed under differentiation. With g the cotangents of o and R that of the last state,
//
//     dq_i = (S_0 + Σ_{j≤i} k_j v_jᵀ) g_i     the product of (g, v, k) from S_0ᵀ
//     dk_j = (R + Σ_{i≥j} q_i g_iᵀ) v_j       the product of (v, g, q) from Rᵀ, the other way
//     dv_j = (R + Σ_{i≥j} q_i g_iᵀ)ᵀ k_j      the product of (k, q, g) from R, the other way, whose last state is dS_0

interface CausalProductParams {
  readonly reverse: boolean;
}

export const causalProductPrimitive: Primitive<CausalProductParams> = {
  name: "causalProduct",
  shape([q, k, v, state]) {
    const { dtype } = q;
    const [n, f] = q.shape.slice(-2);
    const m = v.shape[v.shape.length - 1];
    const lead = q.shape.slice(0, -2);
    expectShape("causalProduct", "k", k, lead, { n, f });
    expectShape("causalProduct", "v", v, lead, { n, m });
    expectShape("causalProduct", "state", state, lead, { f, m });
    return [
      { shape: [...lead, n, m], dtype, weak: false },
      { shape: state.shape, dtype, weak: false },
    ];
  },
  value([q, k, v, state], { reverse }, [o, last]) {
    const [n, f] = q.shape.slice(-2);
    const m = v.shape[v.shape.length - 1];
    const out = allocate(o.dtype, sizeOf(o.shape));
    const end = allocate(last.dtype, sizeOf(last.shape));
    const [qs, ks, vs, first] = [q.data, k.data, v.data, state.data];
    const [sum, row, value] = [new Float64Array(f * m), new Float64Array(m), new Float64Array(m)];
    for (let z = 0; z < sizeOf(q.shape.slice(0, -2)); z++) {
      sum.set(first.subarray(z * f * m, (z + 1) * f * m));
      for (let t = 0; t < n; t++) {
        const i = z * n + (reverse ? n - 1 - t : t);
        row.fill(0);
        value.set(vs.subarray(i * m, (i + 1) * m));
        for (let a = 0, s = 0; a < f; a++) {
          const [qa, ka] = [qs[i * f + a], ks[i * f + a]];
          for (let c = 0; c < m; c++, s++) {
            sum[s] += ka * value[c];
            row[c] += qa * sum[s];
          }
        }
        out.set(row, i * m);
      }
      end.set(sum, z * f * m);
    }
    return [new Dense(o, out), new Dense(last, end)];
  },
  vjp([g, r], [q, k, v, state], [o, last], { reverse }, needs) {
    if (!g && !r) return [null, null, null, null];
    const [ct, end] = [g ?? zerosLike(o), r ?? zerosLike(last)];
    const run = (...args: readonly Tensor[]): readonly Tensor[] => bind(causalProductPrimitive, args, { reverse });
    const runBack = (...args: readonly Tensor[]): readonly Tensor[] =>
      bind(causalProductPrimitive, args, { reverse: !reverse });
    const [dv, dstate] = needs[2] || needs[3] ? runBack(k, q, ct, end) : [null, null];
    return [
      needs[0] && g ? run(g, v, k, swapAxes(state, -1, -2))[0] : null,
      needs[1] ? runBack(v, ct, q, swapAxes(end, -1, -2))[0] : null,
      dv,
      dstate,
    ];
  },
  batch: (size, args, batched, params) =>
    bind(
      causalProductPrimitive,
      args.map((x, i) => (batched[i] ? x : broadcastTo(x, [size, ...x.shape]))),
      params,
    ),
  show: ({ reverse }) => (reverse ? "reverse" : ""),
};

/**
 * Read a running sum of outer products, token by token:
 *
 *     o_i = (S_0 + Σ_{j≤i} k_j v_jᵀ)ᵀ q_i        reverse: Σ_{j≥i}
 *
 * The sum is kept in float64. All three gradients are such products too.
 *
 * @param q - (…, n, f)
 * @param k - (…, n, f)
 * @param v - (…, n, m)
 * @param state - (…, f, m) the sum to start from; null for zeros
 * @param options.reverse - from the last token to the first
 * @returns o (…, n, m) and the last sum (…, f, m), in O(n·f·m) time and O(f·m) extra memory
 * @throws ShapeError when the sizes differ
 * @see Katharopoulos, Vyas, Pappas, Fleuret (2020), Transformers are RNNs, section 3, https://arxiv.org/abs/2006.16236
 */
export function causalProduct(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  state: Tensor | null = null,
  options: { readonly reverse?: boolean } = {},
): [o: Tensor, state: Tensor] {
  if (q.shape.length < 2 || v.shape.length < 2) {
    const [name, x] = q.shape.length < 2 ? ["q (…, n, f)", q] : ["v (…, n, m)", v];
    throw new ShapeError(`causalProduct: expected ${name}, got ${showShape(x.shape)}`);
  }
  const first = state ?? zeros([...q.shape.slice(0, -2), ...q.shape.slice(-1), ...v.shape.slice(-1)]);
  const [o, last] = bind(causalProductPrimitive, promoteFloats([q, k, v, first]), {
    reverse: options.reverse ?? false,
  });
  return [o, last];
}

/**
 * The row sums of causal linear attention, by which its outputs are normalised:
 *
 *     z_i = q_i · (s_0 + Σ_{j≤i} k_j)
 *
 * @param q - (…, n, f) features of queries
 * @param k - (…, n, f) features of keys, zeros where masked
 * @param state - (…, f) the sum of keys to start from; null for zeros
 * @returns z (…, n) and the last sum (…, f), in O(n·f) time
 */
export function causalNormalizer(q: Tensor, k: Tensor, state: Tensor | null = null): [z: Tensor, state: Tensor] {
  const one = ones([...k.shape.slice(0, -1), 1]);
  const [z, last] = causalProduct(q, k, one, state && expandDims(state, -1));
  return [squeeze(z, -1), squeeze(last, -1)];
}
