/*
 * Band arrays, closed under differentiation: the pullback of each of the three ops is made of the three.
 * A band (b, h, n, left + right + 1) keeps of an n × n matrix only what lies near its diagonal: slot t of row i is
 * key j = i − left + t. A slot whose key is outside the sequence is written as 0 and never read.
 */
import type { Kernel } from "./kernel.ts";
import type { Gpu } from "./open-gpu.ts";

/** b batch, h heads, n tokens, `left` keys before and `right` keys after each query. */
export interface BandShape {
  readonly b: number;
  readonly h: number;
  readonly n: number;
  readonly left: number;
  readonly right: number;
}

/** A band between rows of width d. */
export interface BandDotShape extends BandShape {
  readonly d: number;
}

/** A band applied to rows of width m. */
export interface BandMatmulShape extends BandShape {
  readonly m: number;
}

export function bandDotKernel({ b, h, n, d, left, right }: BandDotShape): Kernel {
  return {
    name: "bandDot",
    inputs: { q: { b·h: b * h, n, d }, k: { b·h: b * h, n, d } },
    output: { z: b * h, i: n, t: slots("bandDot", left, right) },
    body: `
      const j = i - ${left} + t;
      let sum = 0;
      if (j >= 0 && j < ${n}) {
        for (let c = 0; c < ${d}; c++) sum += q[z][i][c] * k[z][j][c];
      }
      return sum;`,
  };
}

export function bandMatmulKernel({ b, h, n, m, left, right }: BandMatmulShape): Kernel {
  const width = slots("bandMatmul", left, right);
  return {
    name: "bandMatmul",
    inputs: { band: { b·h: b * h, n, slots: width }, v: { b·h: b * h, n, m } },
    output: { z: b * h, i: n, c: m },
    body: `
      let sum = 0;
      for (let t = 0; t < ${width}; t++) {
        const j = i - ${left} + t;
        if (j >= 0 && j < ${n}) sum += band[z][i][t] * v[z][j][c];
      }
      return sum;`,
  };
}

export function bandTransposeKernel({ b, h, n, left, right }: BandShape): Kernel {
  const width = slots("bandTranspose", left, right);
  return {
    name: "bandTranspose",
    inputs: { band: { b·h: b * h, n, slots: width } },
    output: { z: b * h, j: n, t: width },
    body: `
      const i = j - ${right} + t;
      let entry = 0;
      if (i >= 0 && i < ${n}) entry = band[z][i][${width - 1} - t];
      return entry;`,
  };
}

/**
 * Takes the dot products of each query with the keys near it:
 *
 *     band[i, t] = q_i · k_j,   j = i − left + t,   0 where j is outside [0, n)
 *
 * @param q - (b, h, n, d) queries
 * @param k - (b, h, n, d) keys
 * @returns (b, h, n, left + right + 1), in O(n·w·d) time, one thread an entry
 * @throws RangeError when left or right is no integer ≥ 0; ShapeError when an array has another size
 */
export function bandDot(gpu: Gpu, { q, k }: Arrays<"q" | "k">, shape: BandDotShape): Promise<Float32Array> {
  return gpu.run(bandDotKernel(shape), { q, k });
}

/**
 * Takes the cotangent of `bandDot` to its arguments:
 *
 *     dq = bandMatmul(g, k),   dk = bandMatmul(bandTranspose(g), q)
 *
 * @param g - (b, h, n, left + right + 1) cotangent
 * @returns q, k: (b, h, n, d), in O(n·w·d) time and O(n·w) extra memory
 */
export async function bandDotPullback(
  gpu: Gpu,
  { g, q, k }: Arrays<"g" | "q" | "k">,
  { d, ...band }: BandDotShape,
): Promise<Arrays<"q" | "k">> {
  return {
    q: await bandMatmul(gpu, { band: g, v: k }, { ...band, m: d }),
    k: await bandMatmul(gpu, { band: await bandTranspose(gpu, { band: g }, band), v: q }, { ...swap(band), m: d }),
  };
}

/**
 * Sums the values near each query, weighted by its row of the band:
 *
 *     o_i = Σ_t band[i, t] v_j,   j = i − left + t in [0, n)
 *
 * @param band - (b, h, n, left + right + 1) weights
 * @param v - (b, h, n, m) values
 * @returns (b, h, n, m), in O(n·w·m) time, one thread an entry
 * @throws RangeError when left or right is no integer ≥ 0; ShapeError when an array has another size
 */
export function bandMatmul(gpu: Gpu, { band, v }: Arrays<"band" | "v">, shape: BandMatmulShape): Promise<Float32Array> {
  return gpu.run(bandMatmulKernel(shape), { band, v });
}

/**
 * Takes the cotangent of `bandMatmul` to its arguments:
 *
 *     dband = bandDot(g, v),   dv = bandMatmul(bandTranspose(band), g)
 *
 * @param g - (b, h, n, m) cotangent
 * @returns band: (b, h, n, left + right + 1) and v: (b, h, n, m), in O(n·w·m) time and O(n·w) extra memory
 */
export async function bandMatmulPullback(
  gpu: Gpu,
  { g, band, v }: Arrays<"g" | "band" | "v">,
  { m, ...shape }: BandMatmulShape,
): Promise<Arrays<"band" | "v">> {
  return {
    band: await bandDot(gpu, { q: g, k: v }, { ...shape, d: m }),
    v: await bandMatmul(gpu, { band: await bandTranspose(gpu, { band }, shape), v: g }, { ...swap(shape), m }),
  };
}

/**
 * Transposes the matrix that a band stands for; what was left of the diagonal is then right of it:
 *
 *     out[j, t] = band[i, left + right − t],   i = j − right + t,   0 where i is outside [0, n)
 *
 * Its pullback is itself with left and right exchanged.
 *
 * @param band - (b, h, n, left + right + 1)
 * @returns (b, h, n, right + left + 1), in O(n·w) time
 * @throws RangeError when left or right is no integer ≥ 0; ShapeError when the band has another size
 */
export function bandTranspose(gpu: Gpu, { band }: Arrays<"band">, shape: BandShape): Promise<Float32Array> {
  return gpu.run(bandTransposeKernel(shape), { band });
}

/** Takes the cotangent of `bandTranspose` to its argument: the transpose once more. */
export async function bandTransposePullback(gpu: Gpu, { g }: Arrays<"g">, shape: BandShape): Promise<Arrays<"band">> {
  return { band: await bandTranspose(gpu, { band: g }, swap(shape)) };
}

type Arrays<Name extends string> = Readonly<Record<Name, Float32Array>>;

function swap<Shape extends BandShape>(shape: Shape): Shape {
  return { ...shape, left: shape.right, right: shape.left };
}

function slots(op: string, left: number, right: number): number {
  for (const [side, keys] of Object.entries({ left, right })) {
    if (!Number.isInteger(keys) || keys < 0) {
      throw new RangeError(`${op}: expected an integer ${side} ≥ 0, got ${keys}`);
    }
  }
  return left + right + 1;
}
