/**
 * Put ids at the beginning of a sequence of n tokens, 0 being padding after them.
 *
 * @param ids - at most n of them
 */
export function padded(
  ids: ArrayLike<number>,
  n: number,
): { readonly tokens: Int32Array; readonly mask: Float32Array } {
  const tokens = new Int32Array(n);
  tokens.set(ids);
  return { tokens, mask: new Float32Array(n).fill(1, 0, ids.length) };
}

/** The power of two that so many tokens are padded to. */
export function paddedLength(tokens: number): number {
  return 2 ** Math.ceil(Math.log2(tokens));
}
