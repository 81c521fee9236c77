import { normalExp } from "./exp";
import { ONE, splat } from "./splat";

// With a = |x| and t = 1 / (1 + 0.36 a), the tail of the normal distribution is 1 − Φ(a) = e^{−a²/2} t R(t), R a minimax polynomial of
// degree 8, relative error 9·10⁻⁸: gelu and its slope share it, and the slope's density is its first factor.

const SCALE = memory.data<f32>([0.36]);
const HALF = memory.data<f32>([-0.5]);
/** 1/√(2π) */
const DENSITY = memory.data<f32>([0.3989422804014327]);
const R = memory.data<f32>([
  0.1436176655118735, 0.14368186088486645, 0.12400997012296266, 0.09603616811605581, -0.00038260711286300375,
  0.10736208229507195, -0.22359177243014416, 0.13950377563584088, -0.0302371296996144,
]);

/** Beyond them the tail is 0 in float32. */
const LARGE = memory.data<f32>([1e4, -1e4]);

/** e^{−x²/2} */
// @ts-ignore: decorator
@inline
function bell(x: v128): v128 {
  return normalExp(f32x4.mul(f32x4.mul(x, x), splat(HALF)));
}

/** 1 − Φ(|x|), given e^{−x²/2}. */
// @ts-ignore: decorator
@inline
function tail(x: v128, e: v128): v128 {
  const t = f32x4.div(splat(ONE), f32x4.add(splat(ONE), f32x4.mul(splat(SCALE), f32x4.abs(x))));
  const t2 = f32x4.mul(t, t);
  const t4 = f32x4.mul(t2, t2);
  const low = f32x4.add(f32x4.add(splat(R), f32x4.mul(splat(R + 4), t)), f32x4.mul(t2, f32x4.add(splat(R + 8), f32x4.mul(splat(R + 12), t))));
  const high = f32x4.add(f32x4.add(splat(R + 16), f32x4.mul(splat(R + 20), t)), f32x4.mul(t2, f32x4.add(splat(R + 24), f32x4.mul(splat(R + 28), t))));
  const r = f32x4.add(low, f32x4.mul(t4, f32x4.add(high, f32x4.mul(t4, splat(R + 32)))));
  return f32x4.mul(e, f32x4.mul(t, r));
}

/**
 * x Φ(x) = max(x, 0) − |x| (1 − Φ(|x|)), given the tail. Absolute error 3·10⁻⁷ at most, relative 10⁻⁶ down to −5. What is infinite has
 * no tail: 0 · ∞ must not become NaN. NaN stays: pmin and pmax keep their first argument then.
 */
// @ts-ignore: decorator
@inline
function ofTail(x: v128, rest: v128): v128 {
  const a = f32x4.pmin(f32x4.abs(x), splat(LARGE));
  return f32x4.sub(f32x4.pmax(x, f32x4.splat(0)), f32x4.mul(a, rest));
}

/** The derivative Φ(x) + x e^{−x²/2}/√(2π), given e^{−x²/2} and the tail. */
// @ts-ignore: decorator
@inline
function slopeOfTail(x: v128, e: v128, rest: v128): v128 {
  const ahead = v128.and(splat(ONE), f32x4.gt(x, f32x4.splat(0)));
  const phi = f32x4.abs(f32x4.sub(ahead, rest));
  const finite = f32x4.pmax(f32x4.pmin(x, splat(LARGE)), splat(LARGE + 4));
  return f32x4.add(phi, f32x4.mul(finite, f32x4.mul(e, splat(DENSITY))));
}

export function geluTile(y: usize, x: usize, count: i32): void {
  for (let i: usize = 0, bytes = <usize>count << 2; i < bytes; i += 16) {
    const v = v128.load(x + i);
    v128.store(y + i, ofTail(v, tail(v, bell(v))));
  }
}

export function geluSlopeTile(y: usize, x: usize, count: i32): void {
  for (let i: usize = 0, bytes = <usize>count << 2; i < bytes; i += 16) {
    const v = v128.load(x + i);
    const e = bell(v);
    v128.store(y + i, slopeOfTail(v, e, tail(v, e)));
  }
}

// The same in parts, for a chain that wants both.

export function bellTile(y: usize, x: usize, count: i32): void {
  const bytes = <usize>count << 2;
  let i: usize = 0;
  for (; i + 32 <= bytes; i += 32) {
    const a = bell(v128.load(x + i));
    const b = bell(v128.load(x + i, 16));
    v128.store(y + i, a);
    v128.store(y + i, b, 16);
  }
  if (i < bytes) v128.store(y + i, bell(v128.load(x + i)));
}

export function tailTile(y: usize, x: usize, e: usize, count: i32): void {
  const bytes = <usize>count << 2;
  let i: usize = 0;
  for (; i + 32 <= bytes; i += 32) {
    const a = tail(v128.load(x + i), v128.load(e + i));
    const b = tail(v128.load(x + i, 16), v128.load(e + i, 16));
    v128.store(y + i, a);
    v128.store(y + i, b, 16);
  }
  if (i < bytes) v128.store(y + i, tail(v128.load(x + i), v128.load(e + i)));
}

export function geluOfTailTile(y: usize, x: usize, rest: usize, count: i32): void {
  for (let i: usize = 0, bytes = <usize>count << 2; i < bytes; i += 16) {
    v128.store(y + i, ofTail(v128.load(x + i), v128.load(rest + i)));
  }
}

export function geluSlopeOfTailTile(y: usize, x: usize, e: usize, rest: usize, count: i32): void {
  for (let i: usize = 0, bytes = <usize>count << 2; i < bytes; i += 16) {
    v128.store(y + i, slopeOfTail(v128.load(x + i), v128.load(e + i), v128.load(rest + i)));
  }
}
