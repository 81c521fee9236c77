import { broadcastTo, type Data, ShapeError, showShape, type Tensor } from "@fmmformer/autodiff";
import { apply, definePrimitive, type Primitive } from "@fmmformer/autodiff/extend";
import { expectShape } from "./expect-shape.ts";
import { promoteFloats } from "./promote-floats.ts";

// A band keeps of an n × n matrix the diagonals near the main one: row i, slot t holds the entry of column j = i − left + t. Slots whose
// column is outside the matrix are written as 0 and never read. Three products are closed under differentiation: with g the
// cotangent of the result and ᵀ the transpose,
//
//     bandDot(q, k)          dq = bandMatmul(g, k)        dk = bandMatmul(gᵀ, q)
//     bandMatmul(band, v)    dband = bandDot(g, v)        dv = bandMatmul(bandᵀ, g)
//     bandTranspose(band)    dband = gᵀ

/** How many diagonals a band has on either side of the main one. */
export interface Sides {
  /** Below it: keys before the query. */
  readonly left: number;
  /** Above it: keys after the query. */
  readonly right: number;
}

export const bandDotPrimitive: Primitive<Sides> = definePrimitive<Sides>({
  name: "bandDot",
  shape([q, k], { left, right }) {
    const [n, d] = q.shape.slice(-2);
    const lead = q.shape.slice(0, -2);
    expectShape("bandDot", "k", k, lead, { n, d });
    return { shape: [...lead, n, left + right + 1], dtype: q.dtype, weak: false };
  },
  value(out, [q, k], { left, right }) {
    const [n, d] = q.shape.slice(-2);
    const slots = left + right + 1;
    const [a, b] = [q.data, k.data];
    for (let row = 0; row * slots < out.length; row++) {
      const i = row % n;
      const last = Math.min(i + right, n - 1);
      for (let j = Math.max(i - left, 0); j <= last; j++) {
        out[row * slots + j - i + left] = dot(a, row * d, b, (row - i + j) * d, d);
      }
    }
  },
  vjp: (g, [q, k], _, sides) => [
    () => bandMatmul(g, k, sides),
    () => bandMatmul(bandTranspose(g, sides), q, exchanged(sides)),
  ],
  batch: (size, args, batched, sides) => apply(bandDotPrimitive, repeated(size, args, batched), sides),
  show: showSides,
});

export const bandMatmulPrimitive: Primitive<Sides> = definePrimitive<Sides>({
  name: "bandMatmul",
  shape([band, v], { left, right }) {
    const [n, m] = v.shape.slice(-2);
    const lead = v.shape.slice(0, -2);
    expectShape("bandMatmul", "band", band, lead, { n, slots: left + right + 1 });
    return { shape: [...lead, n, m], dtype: v.dtype, weak: false };
  },
  value(out, [band, v], { left, right }) {
    const [n, m] = v.shape.slice(-2);
    const slots = left + right + 1;
    const [weights, values] = [band.data, v.data];
    for (let row = 0; row * m < out.length; row++) {
      const i = row % n;
      const first = Math.max(i - left, 0);
      const at = row * slots + first - i + left;
      weightedSum(out, row * m, weights, at, Math.min(i + right, n - 1) - first + 1, values, (row - i + first) * m, m);
    }
  },
  vjp: (g, [band, v], _, sides) => [
    () => bandDot(g, v, sides),
    () => bandMatmul(bandTranspose(band, sides), g, exchanged(sides)),
  ],
  batch: (size, args, batched, sides) => apply(bandMatmulPrimitive, repeated(size, args, batched), sides),
  show: showSides,
});

export const bandTransposePrimitive: Primitive<Sides> = definePrimitive<Sides>({
  name: "bandTranspose",
  shape([band], { left, right }) {
    const [n] = band.shape.slice(-2);
    expectShape("bandTranspose", "band", band, band.shape.slice(0, -2), { n, slots: left + right + 1 });
    return { shape: band.shape, dtype: band.dtype, weak: false };
  },
  value(out, [band], { left, right }) {
    const [n, slots] = band.shape.slice(-2);
    const entries = band.data;
    for (let row = 0; row * slots < out.length; row++) {
      const j = row % n;
      const last = Math.min(j + left, n - 1);
      for (let i = Math.max(j - right, 0); i <= last; i++) {
        out[row * slots + i - j + right] = entries[(row - j + i) * slots + j - i + left];
      }
    }
  },
  vjp: (g, _, __, sides) => [() => bandTranspose(g, exchanged(sides))],
  batch: (_, [band], __, sides) => apply(bandTransposePrimitive, [band], sides),
  show: showSides,
});

/** Σ_c a[x + c] b[y + c], in four sums that do not wait for each other. */
function dot(a: Data, x: number, b: Data, y: number, d: number): number {
  let s0 = 0;
  let s1 = 0;
  let s2 = 0;
  let s3 = 0;
  let c = 0;
  for (; c + 3 < d; c += 4) {
    s0 += a[x + c] * b[y + c];
    s1 += a[x + c + 1] * b[y + c + 1];
    s2 += a[x + c + 2] * b[y + c + 2];
    s3 += a[x + c + 3] * b[y + c + 3];
  }
  for (; c < d; c++) s0 += a[x + c] * b[y + c];
  return s0 + s1 + (s2 + s3);
}

/** out[to + c] = Σ_j w[at + j] v[y + j m + c] over `count` rows of v, four channels at a time, so that sums stay in registers. */
function weightedSum(out: Data, to: number, w: Data, at: number, count: number, v: Data, y: number, m: number): void {
  let c = 0;
  for (; c + 3 < m; c += 4) {
    let s0 = 0;
    let s1 = 0;
    let s2 = 0;
    let s3 = 0;
    for (let j = 0, from = y + c; j < count; j++, from += m) {
      const weight = w[at + j];
      s0 += weight * v[from];
      s1 += weight * v[from + 1];
      s2 += weight * v[from + 2];
      s3 += weight * v[from + 3];
    }
    out[to + c] = s0;
    out[to + c + 1] = s1;
    out[to + c + 2] = s2;
    out[to + c + 3] = s3;
  }
  for (; c < m; c++) {
    let s0 = 0;
    for (let j = 0, from = y + c; j < count; j++, from += m) s0 += w[at + j] * v[from];
    out[to + c] = s0;
  }
}

function showSides({ left, right }: Sides): string {
  return `left ${left}, right ${right}`;
}

function exchanged({ left, right }: Sides): Sides {
  return { left: right, right: left };
}

/** Operands that all have the batch axis in front. */
function repeated(size: number, args: readonly Tensor[], batched: readonly boolean[]): readonly Tensor[] {
  return args.map((x, i) => (batched[i] ? x : broadcastTo(x, [size, ...x.shape])));
}

/** Exactly the two sides, checked: parameters are compared and printed, so nothing else may hang on them. */
export function checkSides(op: string, { left, right }: Sides): Sides {
  for (const [side, keys] of Object.entries({ left, right })) {
    if (!Number.isInteger(keys) || keys < 0) {
      throw new RangeError(`${op}: expected an integer ${side} ≥ 0, got ${keys}`);
    }
  }
  return { left, right };
}

function checkMatrices(op: string, name: string, { shape }: Tensor): void {
  if (shape.length < 2) throw new ShapeError(`${op}: expected ${name}, got ${showShape(shape)}`);
}

/**
 * Take the dot products of each query with the keys near it:
 *
 *     band[i, t] = q_i · k_j,   j = i − left + t,   0 where j is outside the sequence
 *
 * @param q - (…, n, d) queries
 * @param k - (…, n, d) keys; the leading axes are those of q
 * @param options - how many keys before and after each query
 * @returns (…, n, left + right + 1), in O(n·w·d) time
 * @throws ShapeError when the sizes differ, RangeError when left or right is no integer ≥ 0
 */
export function bandDot(q: Tensor, k: Tensor, options: Sides): Tensor {
  const sides = checkSides("bandDot", options);
  checkMatrices("bandDot", "q (…, n, d)", q);
  return apply(bandDotPrimitive, promoteFloats([q, k]), sides);
}

/**
 * Add up the values near each query, weighted by its row of a band:
 *
 *     o_i = Σ_t band[i, t] v_j,   j = i − left + t inside the sequence
 *
 * Sums are kept in float64.
 *
 * @param band - (…, n, left + right + 1) weights; the leading axes are those of v
 * @param v - (…, n, m) values
 * @param options - how many keys before and after each query
 * @returns (…, n, m), in O(n·w·m) time
 * @throws ShapeError when the sizes differ, RangeError when left or right is no integer ≥ 0
 */
export function bandMatmul(band: Tensor, v: Tensor, options: Sides): Tensor {
  const sides = checkSides("bandMatmul", options);
  checkMatrices("bandMatmul", "v (…, n, m)", v);
  return apply(bandMatmulPrimitive, promoteFloats([band, v]), sides);
}

/**
 * Transpose the matrix that a band stands for; what was left of the main diagonal is then right of it:
 *
 *     out[j, t] = band[i, left + right − t],   i = j − right + t,   0 where i is outside the sequence
 *
 * @param band - (…, n, left + right + 1)
 * @param options - how many diagonals `band` has on either side
 * @returns (…, n, right + left + 1), a band of `{ left: right, right: left }`, in O(n·w) time
 * @throws ShapeError when the band has another number of slots, RangeError when left or right is no integer ≥ 0
 */
export function bandTranspose(band: Tensor, options: Sides): Tensor {
  const sides = checkSides("bandTranspose", options);
  checkMatrices("bandTranspose", "band (…, n, slots)", band);
  return apply(bandTransposePrimitive, promoteFloats([band]), sides);
}
