/*
 * The three products of the far field, closed under differentiation. Tokens have rows x (f wide) and y (m + 1 wide),
 * heads have a state S (f × (m + 1)).
 *
 *     outerSum               S = Σ_j x_j y_jᵀ    dx = dS y,   dy = dSᵀ x
 *     applyState             y = Sᵀ x            dx = S dy,   dS = Σ_j x_j dy_jᵀ
 *     applyStateTransposed   x = S y             dy = Sᵀ dx,  dS = Σ_j dx_j y_jᵀ
 *
 * The last entry of y belongs to the normaliser. Where it is the same for all tokens it need not be stored.
 */
import type { Kernel } from "./kernel.ts";
import type { Gpu } from "./open-gpu.ts";

/** b batch, h heads, n tokens, f width of the features, m width of the values. */
export interface FarFieldShape {
  readonly b: number;
  readonly h: number;
  readonly n: number;
  readonly f: number;
  readonly m: number;
}

/** The last entry of each y: stored after the m others, or a constant. */
export type Last = "stored" | 0 | 1;

/** (b, n), shared by the heads; a token of mask 0 is skipped, whatever its row holds. */
type Mask = Float32Array | undefined;

/** Sums blocks of tokens: i is the block, entry e of the state is row a and column c. */
export function outerSumKernel(
  { b, h, n, f, m }: FarFieldShape,
  { last, masked, block }: { last: Last; masked: boolean; block: number },
): Kernel {
  const width = last === "stored" ? m + 1 : m;
  return {
    name: "outerSum",
    inputs: { x: { b·h: b * h, n, f }, y: { b·h: b * h, n, m: width }, ...(masked && { mask: { b, n } }) },
    output: { z: b * h, i: Math.ceil(n / block), e: f * (m + 1) },
    body: `
      const a = Math.floor((e + 0.5) / ${m + 1});
      const c = e - a * ${m + 1};
      let sum = 0;
      for (let t = 0; t < ${block}; t++) {
        const j = i * ${block} + t;
        if (j < ${n}) {
          let entry = ${last === "stored" ? 0 : last};
          if (c < ${width}) entry = y[z][j][c];
          ${masked ? `if (${kept(h, "j")}) ` : ""}sum += x[z][j][a] * entry;
        }
      }
      return sum;`,
  };
}

/** Sums what `outerSumKernel` left of each block. */
export function sumBlocksKernel({ b, h, blocks, f, m }: Omit<FarFieldShape, "n"> & { blocks: number }): Kernel {
  return {
    name: "sumBlocks",
    inputs: { x: { b·h: b * h, blocks, "f·(m+1)": f * (m + 1) } },
    output: { z: b * h, e: f * (m + 1) },
    body: `
      let sum = 0;
      for (let i = 0; i < ${blocks}; i++) sum += x[z][i][e];
      return sum;`,
  };
}

/** With `last: "stored"` y has m + 1 entries, otherwise the first m. */
export function applyStateKernel(
  { b, h, n, f, m }: FarFieldShape,
  { last, masked }: { last: Last; masked: boolean },
): Kernel {
  return {
    name: "applyState",
    inputs: {
      x: { b·h: b * h, n, f },
      state: { b·h: b * h, f, "m+1": m + 1 },
      ...(masked && { mask: { b, n } }),
    },
    output: { z: b * h, i: n, c: last === "stored" ? m + 1 : m },
    body: `
      ${masked ? `if (!(${kept(h, "i")})) return 0;` : ""}
      let sum = 0;
      for (let a = 0; a < ${f}; a++) sum += x[z][i][a] * state[z][a][c];
      return sum;`,
  };
}

export function applyStateTransposedKernel(
  { b, h, n, f, m }: FarFieldShape,
  { last, masked }: { last: Last; masked: boolean },
): Kernel {
  const width = last === "stored" ? m + 1 : m;
  return {
    name: "applyStateTransposed",
    inputs: {
      y: { b·h: b * h, n, m: width },
      state: { b·h: b * h, f, "m+1": m + 1 },
      ...(masked && { mask: { b, n } }),
    },
    output: { z: b * h, i: n, a: f },
    body: `
      ${masked ? `if (!(${kept(h, "i")})) return 0;` : ""}
      let sum = ${last === 1 ? `state[z][a][${m}]` : 0};
      for (let c = 0; c < ${width}; c++) sum += y[z][i][c] * state[z][a][c];
      return sum;`,
  };
}

/**
 * Adds up the outer products of the rows, token by token:
 *
 *     S = Σ_j x_j y_jᵀ
 *
 * A float32 sum over all tokens would lose digits: blocks of at least √n tokens are summed first, then their sums.
 *
 * @param x - (b, h, n, f)
 * @param y - (b, h, n, m), or (b, h, n, m + 1) when the last entry is stored
 * @returns (b, h, f, m + 1), in O(n·f·m) time and O(√n·f·m) extra memory, one thread a block and entry
 */
export async function outerSum(
  gpu: Gpu,
  { x, y, mask }: Record<"x" | "y", Float32Array> & { mask?: Mask },
  { last, ...shape }: FarFieldShape & { last: Last },
): Promise<Float32Array> {
  const block = Math.max(64, Math.ceil(Math.sqrt(shape.n)));
  const blocks = Math.ceil(shape.n / block);
  const sums = await gpu.run(outerSumKernel(shape, { last, masked: mask !== undefined, block }), { x, y, mask });
  return blocks === 1 ? sums : gpu.run(sumBlocksKernel({ ...shape, blocks }), { x: sums });
}

/**
 * Multiplies each row with the state:
 *
 *     y_i = Sᵀ x_i
 *
 * @param x - (b, h, n, f)
 * @param state - (b, h, f, m + 1)
 * @returns (b, h, n, m), or (b, h, n, m + 1) when the last entry is to be stored, in O(n·f·m) time, one thread an entry
 */
export function applyState(
  gpu: Gpu,
  { x, state, mask }: Record<"x" | "state", Float32Array> & { mask?: Mask },
  { last, ...shape }: FarFieldShape & { last: Last },
): Promise<Float32Array> {
  return gpu.run(applyStateKernel(shape, { last, masked: mask !== undefined }), { x, state, mask });
}

/**
 * Multiplies each row with the transposed state:
 *
 *     x_i = S y_i
 *
 * @param y - (b, h, n, m), or (b, h, n, m + 1) when the last entry is stored
 * @param state - (b, h, f, m + 1)
 * @returns (b, h, n, f), in O(n·f·m) time, one thread an entry
 */
export function applyStateTransposed(
  gpu: Gpu,
  { y, state, mask }: Record<"y" | "state", Float32Array> & { mask?: Mask },
  { last, ...shape }: FarFieldShape & { last: Last },
): Promise<Float32Array> {
  return gpu.run(applyStateTransposedKernel(shape, { last, masked: mask !== undefined }), { y, state, mask });
}

/** The half keeps a division that a driver rounds down on the right side of an integer. */
function kept(h: number, token: string): string {
  return `mask[Math.floor((z + 0.5) / ${h})][${token}] > 0`;
}
