import { bytes, padded, product } from "./low-rank-tile";

// Running sums, o_i = (S + Σ_{j≤i} k_j v_jᵀ)ᵀ q_i, a chunk of tokens at a time: O = Q S + tril(Q Kᵀ) V. Where the scores lie
// behind the queries and the values below the state it is one product, [Q, tril(Q Kᵀ)] [S; V].

/** Tokens of a chunk; the scratch that src/wasm/ops measures is for so many. */
// @ts-ignore: decorator
@inline
export const CHUNK: i32 = 16;

/**
 * Scores of the tokens of a chunk, C = A B with A (rows, inner), B (inner, rows), rows of B a chunk long; 0 for tokens behind
 * one's own (reverse: before it). Columns are filled up to whole vectors. `zeros` are as many as a chunk has tokens.
 */
export function scoresWithin(
  c: usize,
  cRow: usize,
  a: usize,
  aRow: usize,
  b: usize,
  zeros: usize,
  rows: i32,
  inner: i32,
  reverse: bool,
): void {
  const width = padded(rows);
  product(c, cRow, zeros, 0, a, aRow, b, bytes(CHUNK), rows, inner, width);
  for (let i = 0; i < rows; i++) {
    const own = i32x4.splat(i & 3);
    const at = c + bytes(i & ~3);
    const scores = v128.load(at);
    const lanes = i32x4(0, 1, 2, 3);
    v128.store(at, v128.and(scores, reverse ? i32x4.ge_s(lanes, own) : i32x4.le_s(lanes, own)));
    const end = reverse ? at : c + bytes(width);
    for (let x = reverse ? c : at + 16; x < end; x += 16) v128.store(x, f32x4.splat(0));
    c += cRow;
  }
}
