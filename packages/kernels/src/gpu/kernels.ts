import { flatten, isTensor, type Jitted, jit, type Tensor, unflatten, vjp } from "@fmmformer/autodiff";
import { structureKey } from "@fmmformer/autodiff/extend";
import {
  bandDot as bandDotOp,
  bandMatmul as bandMatmulOp,
  bandTranspose as bandTransposeOp,
  type Sides,
} from "../band.ts";
import { type BandSoftmaxOptions, bandSoftmax as bandSoftmaxOp } from "../band-softmax.ts";
import { type FarFieldOptions, farField as farFieldOp } from "../far-field.ts";
import { type NearFieldOptions, nearField as nearFieldOp } from "../near-field.ts";
import type { GpuEngine } from "./engine.ts";

// Ops one by one, for programs that are not built with jit: each call is a small program of its own, compiled once for each shape and
// each set of options, and copied to the device and back.

/** Where a kernel runs. */
export interface OnGpu {
  /** From `gpu()`; what was compiled is kept with it */
  readonly engine: GpuEngine;
}

/** An op that runs by itself: tensors in, a promise of a tensor out. */
export interface GpuKernel<Inputs extends Tensor[], Options> {
  (...args: [...inputs: Inputs, options: Options & OnGpu]): Promise<Tensor>;
  /** The cotangents of the inputs from that of the result, with the same inputs and options. */
  pullback(...args: [ct: Tensor, ...inputs: Inputs, options: Options & OnGpu]): Promise<Inputs>;
}

type Compiled = Jitted<Tensor[], Promise<unknown>>;

const compiled = new WeakMap<GpuEngine, Map<string, Compiled>>();

function kernel<Inputs extends Tensor[], Options extends object>(
  name: string,
  op: (...args: [...Inputs, Options]) => Tensor,
): GpuKernel<Inputs, Options> {
  type Given = Options & OnGpu;
  const value = (xs: readonly Tensor[], options: Options): Tensor => op(...(xs as Inputs), options);
  const pull = ([ct, ...xs]: readonly Tensor[], options: Options): readonly Tensor[] =>
    vjp((...ys: Tensor[]) => value(ys, options), ...xs)[1](ct);

  const run = async (of: typeof value | typeof pull, args: readonly unknown[]): Promise<unknown> => {
    const { engine, ...options } = (args[args.length - 1] ?? {}) as Given;
    if (engine?.name !== "gpu")
      throw new TypeError(
        `${name}: expected an engine of gpu(), got ${engine?.name ?? engine}; pass { engine: gpu() }`,
      );
    const inputs = args.slice(0, -1) as readonly Tensor[];
    // Tensors among the options are inputs too; the rest is compiled in.
    const { leaves, structure } = flatten(options, isTensor);
    const key = `${name} ${of === pull} ${structureKey(structure)}`;
    const known = compiled.get(engine) ?? new Map<string, Compiled>();
    compiled.set(engine, known);
    let each = known.get(key);
    if (!each) {
      const count = inputs.length;
      const program = (...xs: Tensor[]): unknown =>
        of(xs.slice(0, count), unflatten(structure, xs.slice(count)) as Options);
      each = jit(program, { engine });
      known.set(key, each);
    }
    return each(...inputs, ...(leaves as Tensor[]));
  };
  return Object.assign((...args: readonly unknown[]) => run(value, args), {
    pullback: (...args: readonly unknown[]) => run(pull, args),
  }) as unknown as GpuKernel<Inputs, Options>;
}

/**
 * Take the dot products of each query with the keys near it, on a GPU: one kernel.
 *
 *     band[i, t] = q_i · k_j,   j = i − left + t,   0 where j is outside the sequence
 *
 * As of all kernels here, arrays have at most 2²⁴ elements, inputs are float32 or whole numbers up to 2²⁴, and a mode that does not run here
 * is told by GpuUnavailableError. WebGPU gives a kernel seven arrays; what reads more becomes several kernels.
 *
 * @param q - (…, n, d)
 * @param k - (…, n, d)
 * @param options - `{ left, right, engine }`
 * @returns (…, n, left + right + 1), in O(n·w·d) operations, a thread for each element
 * @throws ShapeError, RangeError as the op of this name; RangeError for larger arrays, DTypeError for float64, TypeError without an engine
 */
export const bandDot: GpuKernel<[q: Tensor, k: Tensor], Sides> = kernel("bandDot", bandDotOp);

/**
 * Add up the values near each query, weighted by its row of a band, on a GPU: one kernel.
 *
 *     o_i = Σ_t band[i, t] v_j,   j = i − left + t inside the sequence
 *
 * @param band - (…, n, left + right + 1)
 * @param v - (…, n, m)
 * @param options - `{ left, right, engine }`
 * @returns (…, n, m), in O(n·w·m) operations, a thread for each element
 * @throws what `bandDot` throws
 */
export const bandMatmul: GpuKernel<[band: Tensor, v: Tensor], Sides> = kernel("bandMatmul", bandMatmulOp);

/**
 * Transpose the matrix that a band stands for, on a GPU: one kernel.
 *
 *     out[j, t] = band[i, left + right − t],   i = j − right + t,   0 where i is outside the sequence
 *
 * @param band - (…, n, left + right + 1)
 * @param options - `{ left, right, engine }`, of `band`
 * @returns (…, n, right + left + 1), in O(n·w) operations
 * @throws what `bandDot` throws
 */
export const bandTranspose: GpuKernel<[band: Tensor], Sides> = kernel("bandTranspose", bandTransposeOp);

/**
 * Take the softmax of each row of a band, over the slots whose key is inside the sequence and not masked, on a GPU: four kernels, and
 * one or two for which slots count.
 *
 *     p_it = e^{x_it + b_t} / Σ_t e^{x_it + b_t}
 *
 * @param band - (…b, h, n, left + right + 1)
 * @param options - `{ left, right, engine }`, a mask of keys (…b, n), a bias (h, slots)
 * @returns the shape of `band`, in O(n·w) operations
 * @throws what `bandDot` throws
 */
export const bandSoftmax: GpuKernel<[band: Tensor], BandSoftmaxOptions> = kernel("bandSoftmax", bandSoftmaxOp);

/**
 * Attend to the tokens nearby, on a GPU: scores, two numbers of each row, weights, values, a kernel each; five for the pullback.
 *
 *     t_ij = scale · q_i·k_j + b_{j−i},   p_ij = e^{t_ij} / Σ_j e^{t_ij},   o_i = Σ_j p_ij v_j,   |i − j| < bandwidth
 *
 * The weights are stored: b·h·n·w of them, at most 2²⁴.
 *
 * @param q - (…b, h, n, d)
 * @param k - (…b, h, n, d)
 * @param v - (…b, h, n, m)
 * @param options - those of the op of this name, and the engine
 * @returns (…b, h, n, m), in O(n·w·(d + m)) operations and O(n·w) memory
 * @throws what `bandDot` throws
 */
export const nearField: GpuKernel<[q: Tensor, k: Tensor, v: Tensor], NearFieldOptions> = kernel(
  "nearField",
  nearFieldOp,
);

/**
 * Low-rank attention through feature maps, on a GPU: three kernels and those of the feature maps, six when causal.
 *
 *     S = Σ_j φ_l(k_j) [v_j, 1]ᵀ,   x_i = Sᵀ φ_l(q_i),   o_i = scale · Σ_l w_l x_{i,1:m} / (max(x_{i,m+1}, 0) + ε)
 *
 * Causal, the states that chunks of √n tokens begin with are stored, b·h·r·√n·f·(m + 1) numbers of at most 2²⁴. A feature map that is made
 * anew for each call is compiled anew: make it once.
 *
 * @param q - (…b, h, n, d)
 * @param k - (…b, h, n, d)
 * @param v - (…b, h, n, m)
 * @param options - those of the op of this name but `returnState`, for which take jit, and the engine
 * @returns (…b, h, n, m), in O(r·n·f·m) operations; causal O(r·n·(f·m + √n·(f + m)))
 * @throws what `bandDot` throws
 */
export const farField: GpuKernel<[q: Tensor, k: Tensor, v: Tensor], Omit<FarFieldOptions, "returnState">> = kernel(
  "farField",
  (q: Tensor, k: Tensor, v: Tensor, options: Omit<FarFieldOptions, "returnState">) =>
    farFieldOp(q, k, v, { ...options, returnState: false }),
);
