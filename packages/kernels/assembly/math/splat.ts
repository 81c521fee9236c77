// Constants lie in static memory and are broadcast by one load, as fast as loading four copies. V8 rebuilds a literal
// splat at every use, which makes exp 1.6 times slower.

/** The number at address `at` in all four lanes. */
// @ts-ignore: decorator
@inline
export function splat(at: usize): v128 {
  return v128.load_splat<f32>(at);
}

export const ONE = memory.data<f32>([1]);
export const INFINITY = memory.data<f32>([Infinity]);

/** The sign bit. */
export const SIGN = memory.data<u32>([0x80000000]);

/** The magnitude of `x` with the sign of `s`. */
// @ts-ignore: decorator
@inline
export function withSign(x: v128, s: v128): v128 {
  return v128.bitselect(s, x, splat(SIGN));
}
