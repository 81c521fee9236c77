// One loop an op: z[i] = op(x[i], y[i], w[i]) over n elements, a multiple of 4. Tiles of bool hold int32, 0 or 1.
import { bellTile, geluOfTailTile, geluSlopeOfTailTile, geluSlopeTile, geluTile, tailTile } from "./math/gelu";
import * as math from "./math/tiles";

// ——— float32 ———

export function add_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 2; i < e; i += 16) v128.store(z + i, f32x4.add(v128.load(x + i), v128.load(y + i))); }
export function sub_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 2; i < e; i += 16) v128.store(z + i, f32x4.sub(v128.load(x + i), v128.load(y + i))); }
export function mul_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 2; i < e; i += 16) v128.store(z + i, f32x4.mul(v128.load(x + i), v128.load(y + i))); }
export function div_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 2; i < e; i += 16) v128.store(z + i, f32x4.div(v128.load(x + i), v128.load(y + i))); }
export function maximum_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 2; i < e; i += 16) v128.store(z + i, f32x4.max(v128.load(x + i), v128.load(y + i))); }
export function minimum_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 2; i < e; i += 16) v128.store(z + i, f32x4.min(v128.load(x + i), v128.load(y + i))); }
export function neg_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 2; i < e; i += 16) v128.store(z + i, f32x4.neg(v128.load(x + i))); }
export function sqrt_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 2; i < e; i += 16) v128.store(z + i, f32x4.sqrt(v128.load(x + i))); }
export function abs_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 2; i < e; i += 16) v128.store(z + i, f32x4.abs(v128.load(x + i))); }
export function floor_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 2; i < e; i += 16) v128.store(z + i, f32x4.floor(v128.load(x + i))); }
export function sign_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 2; i < e; i += 16) v128.store(z + i, v128.bitselect(v128.load(x + i), v128.or(f32x4.splat(1), v128.and(v128.load(x + i), i32x4.splat(i32.MIN_VALUE))), v128.not(v128.or(f32x4.lt(v128.load(x + i), f32x4.splat(0)), f32x4.gt(v128.load(x + i), f32x4.splat(0)))))); }
export function equal_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 2; i < e; i += 16) v128.store(z + i, v128.and(f32x4.eq(v128.load(x + i), v128.load(y + i)), i32x4.splat(1))); }
export function less_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 2; i < e; i += 16) v128.store(z + i, v128.and(f32x4.lt(v128.load(x + i), v128.load(y + i)), i32x4.splat(1))); }
export function lessEqual_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 2; i < e; i += 16) v128.store(z + i, v128.and(f32x4.le(v128.load(x + i), v128.load(y + i)), i32x4.splat(1))); }
export function where_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 2; i < e; i += 16) v128.store(z + i, v128.bitselect(v128.load(y + i), v128.load(w + i), i32x4.ne(v128.load(x + i), i32x4.splat(0)))); }
/** w x + (1 − w) y. */
export function average_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { const one = f32x4.splat(1); for (let i: usize = 0, e = <usize>n << 2; i < e; i += 16) { const share = v128.load(w + i); v128.store(z + i, f32x4.add(f32x4.mul(v128.load(x + i), share), f32x4.mul(v128.load(y + i), f32x4.sub(one, share)))); } }

// ——— float64 ———

export function add_float64(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 3; i < e; i += 16) v128.store(z + i, f64x2.add(v128.load(x + i), v128.load(y + i))); }
export function sub_float64(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 3; i < e; i += 16) v128.store(z + i, f64x2.sub(v128.load(x + i), v128.load(y + i))); }
export function mul_float64(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 3; i < e; i += 16) v128.store(z + i, f64x2.mul(v128.load(x + i), v128.load(y + i))); }
export function div_float64(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 3; i < e; i += 16) v128.store(z + i, f64x2.div(v128.load(x + i), v128.load(y + i))); }
export function maximum_float64(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 3; i < e; i += 16) v128.store(z + i, f64x2.max(v128.load(x + i), v128.load(y + i))); }
export function minimum_float64(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 3; i < e; i += 16) v128.store(z + i, f64x2.min(v128.load(x + i), v128.load(y + i))); }
export function neg_float64(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 3; i < e; i += 16) v128.store(z + i, f64x2.neg(v128.load(x + i))); }
export function sqrt_float64(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 3; i < e; i += 16) v128.store(z + i, f64x2.sqrt(v128.load(x + i))); }
export function abs_float64(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 3; i < e; i += 16) v128.store(z + i, f64x2.abs(v128.load(x + i))); }
export function floor_float64(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 3; i < e; i += 16) v128.store(z + i, f64x2.floor(v128.load(x + i))); }
export function sign_float64(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 3; i < e; i += 8) store<f64>(z + i, signOf(load<f64>(x + i))); }
export function equal_float64(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n; i < e; i++) store<i32>(z + (i << 2), i32(load<f64>(x + (i << 3)) == load<f64>(y + (i << 3)))); }
export function less_float64(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n; i < e; i++) store<i32>(z + (i << 2), i32(load<f64>(x + (i << 3)) < load<f64>(y + (i << 3)))); }
export function lessEqual_float64(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n; i < e; i++) store<i32>(z + (i << 2), i32(load<f64>(x + (i << 3)) <= load<f64>(y + (i << 3)))); }
export function where_float64(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n; i < e; i++) store<f64>(z + (i << 3), load<i32>(x + (i << 2)) ? load<f64>(y + (i << 3)) : load<f64>(w + (i << 3))); }

// ——— int32, and bool as int32 ———

export function add_int32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 2; i < e; i += 16) v128.store(z + i, i32x4.add(v128.load(x + i), v128.load(y + i))); }
export function sub_int32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 2; i < e; i += 16) v128.store(z + i, i32x4.sub(v128.load(x + i), v128.load(y + i))); }
export function mul_int32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 2; i < e; i += 16) v128.store(z + i, i32x4.mul(v128.load(x + i), v128.load(y + i))); }
export function maximum_int32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 2; i < e; i += 16) v128.store(z + i, i32x4.max_s(v128.load(x + i), v128.load(y + i))); }
export function minimum_int32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 2; i < e; i += 16) v128.store(z + i, i32x4.min_s(v128.load(x + i), v128.load(y + i))); }
export function neg_int32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 2; i < e; i += 16) v128.store(z + i, i32x4.neg(v128.load(x + i))); }
export function abs_int32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 2; i < e; i += 16) v128.store(z + i, i32x4.abs(v128.load(x + i))); }
export function sign_int32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 2; i < e; i += 16) v128.store(z + i, i32x4.sub(i32x4.lt_s(v128.load(x + i), i32x4.splat(0)), i32x4.gt_s(v128.load(x + i), i32x4.splat(0)))); }
export function floor_int32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 2; i < e; i += 16) v128.store(z + i, v128.load(x + i)); }
export function equal_int32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 2; i < e; i += 16) v128.store(z + i, v128.and(i32x4.eq(v128.load(x + i), v128.load(y + i)), i32x4.splat(1))); }
export function less_int32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 2; i < e; i += 16) v128.store(z + i, v128.and(i32x4.lt_s(v128.load(x + i), v128.load(y + i)), i32x4.splat(1))); }
export function lessEqual_int32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 2; i < e; i += 16) v128.store(z + i, v128.and(i32x4.le_s(v128.load(x + i), v128.load(y + i)), i32x4.splat(1))); }
export function where_int32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 2; i < e; i += 16) v128.store(z + i, v128.bitselect(v128.load(y + i), v128.load(w + i), i32x4.ne(v128.load(x + i), i32x4.splat(0)))); }

// ——— x − y ⌊x/y⌋, in float64 so that the floor is that of the exact quotient ———

export function mod_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 2; i < e; i += 4) store<f32>(z + i, <f32>modOf(load<f32>(x + i), load<f32>(y + i))); }
export function mod_float64(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 3; i < e; i += 8) store<f64>(z + i, modOf(load<f64>(x + i), load<f64>(y + i))); }
export function mod_int32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 2; i < e; i += 4) store<i32>(z + i, load<i32>(y + i) ? <i32>modOf(load<i32>(x + i), load<i32>(y + i)) : 0); }

// ——— functions with rounding of their own ———

export function exp_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { math.expTile(z, x, n); }
export function exp_float64(z: usize, x: usize, y: usize, w: usize, n: i32): void { math.expTile64(z, x, n); }
export function expm1_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { math.expm1Tile(z, x, n); }
export function expm1_float64(z: usize, x: usize, y: usize, w: usize, n: i32): void { math.expm1Tile64(z, x, n); }
export function log_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { math.logTile(z, x, n); }
export function log_float64(z: usize, x: usize, y: usize, w: usize, n: i32): void { math.logTile64(z, x, n); }
export function log1p_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { math.log1pTile(z, x, n); }
export function log1p_float64(z: usize, x: usize, y: usize, w: usize, n: i32): void { math.log1pTile64(z, x, n); }
export function tanh_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { math.tanhTile(z, x, n); }
export function tanh_float64(z: usize, x: usize, y: usize, w: usize, n: i32): void { math.tanhTile64(z, x, n); }
export function sigmoid_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { math.sigmoidTile(z, x, n); }
export function sigmoid_float64(z: usize, x: usize, y: usize, w: usize, n: i32): void { math.sigmoidTile64(z, x, n); }
export function softplus_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { math.softplusTile(z, x, n); }
export function softplus_float64(z: usize, x: usize, y: usize, w: usize, n: i32): void { math.softplusTile64(z, x, n); }
export function erf_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { math.erfTile(z, x, n); }
export function erf_float64(z: usize, x: usize, y: usize, w: usize, n: i32): void { math.erfTile64(z, x, n); }
export function sin_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { math.sinTile(z, x, n); }
export function sin_float64(z: usize, x: usize, y: usize, w: usize, n: i32): void { math.sinTile64(z, x, n); }
export function cos_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { math.cosTile(z, x, n); }
export function cos_float64(z: usize, x: usize, y: usize, w: usize, n: i32): void { math.cosTile64(z, x, n); }
export function pow_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { math.powTile(z, x, y, n); }
export function pow_float64(z: usize, x: usize, y: usize, w: usize, n: i32): void { math.powTile64(z, x, y, n); }
export function gelu_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { geluTile(z, x, n); }
export function geluSlope_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { geluSlopeTile(z, x, n); }
export function bell_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { bellTile(z, x, n); }
export function tail_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { tailTile(z, x, y, n); }
export function geluOfTail_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { geluOfTailTile(z, x, y, n); }
export function geluSlopeOfTail_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { geluSlopeOfTailTile(z, x, y, w, n); }
export function eluPlusOne_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { math.eluPlusOneTile(z, x, n); }

// ——— casts: to int32 towards zero and modulo 2³², to bool as x ≠ 0 ———

export function float32_int32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n << 2; i < e; i += 16) v128.store(z + i, f32x4.convert_i32x4_s(v128.load(x + i))); }
export function float32_float64(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n; i < e; i++) store<f32>(z + (i << 2), <f32>load<f64>(x + (i << 3))); }
export function float64_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i = <isize>n - 1; i >= 0; i--) store<f64>(z + (i << 3), <f64>load<f32>(x + (i << 2))); }
export function float64_int32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i = <isize>n - 1; i >= 0; i--) store<f64>(z + (i << 3), <f64>load<i32>(x + (i << 2))); }
export function int32_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n; i < e; i++) store<i32>(z + (i << 2), wrapped(<f64>load<f32>(x + (i << 2)))); }
export function int32_float64(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n; i < e; i++) store<i32>(z + (i << 2), wrapped(load<f64>(x + (i << 3)))); }
export function bool_float32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n; i < e; i++) store<i32>(z + (i << 2), i32(load<f32>(x + (i << 2)) != 0)); }
export function bool_float64(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n; i < e; i++) store<i32>(z + (i << 2), i32(load<f64>(x + (i << 3)) != 0)); }
export function bool_int32(z: usize, x: usize, y: usize, w: usize, n: i32): void { for (let i: usize = 0, e = <usize>n; i < e; i++) store<i32>(z + (i << 2), i32(load<i32>(x + (i << 2)) != 0)); }

// ——— copies ———

export function copy_4(z: usize, x: usize, y: usize, w: usize, n: i32): void { memory.copy(z, x, <usize>n << 2); }
export function copy_8(z: usize, x: usize, y: usize, w: usize, n: i32): void { memory.copy(z, x, <usize>n << 3); }

function signOf(x: f64): f64 {
  return x > 0 ? 1 : x < 0 ? -1 : x;
}

function modOf(x: f64, y: f64): f64 {
  return y == 0 ? NaN : x - y * Math.floor(x / y);
}

/** Towards zero, modulo 2³²; 0 for what is no number. */
function wrapped(x: f64): i32 {
  if (Math.abs(x) < 2147483648) return <i32>x;
  if (!isFinite(x)) return 0;
  const whole = Math.trunc(x);
  return <i32>(<u32>(whole - 4294967296 * Math.floor(whole / 4294967296)));
}
