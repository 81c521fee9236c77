import type { Matrix } from "../report/heat-map.ts";

// Householder reflections make a matrix bidiagonal without changing its singular values. With diagonal d and superdiagonal e, they are the
// positive eigenvalues of the tridiagonal matrix that has zeros on its diagonal and d₁ e₁ d₂ e₂ … beside it, which a Sturm sequence counts.
// Golub, Kahan (1965), https://doi.org/10.1137/0702016; Demmel, Kahan (1990), https://doi.org/10.1137/0911052

/**
 * Singular values of a matrix, the largest first, to about 10⁻¹⁶ of the largest; in O(rows · columns · min(rows, columns)) time.
 */
export function singularValues(matrix: Matrix): Float64Array {
  const beside = bidiagonal(matrix);
  const count = (beside.length + 1) / 2;
  const values = new Float64Array(count);
  const largest = bound(beside);
  for (let i = 0; i < count; i++) {
    // The (i + 1)-th largest: more than i are above `low`, at most i above `high`.
    let [low, high] = [0, i === 0 ? largest : values[i - 1]];
    for (let step = 0; step < 64 && high - low > 1e-17 * largest; step++) {
      const middle = (low + high) / 2;
      if (countAbove(beside, middle) > i) low = middle;
      else high = middle;
    }
    values[i] = (low + high) / 2;
  }
  return values;
}

/**
 * How many singular values are larger than a threshold.
 *
 * @throws RangeError when the threshold is no number ≥ 0
 */
export function numericalRank(matrix: Matrix, threshold: number): number {
  if (!(threshold >= 0)) throw new RangeError(`numericalRank: expected a threshold ≥ 0, got ${threshold}`);
  return countAbove(bidiagonal(matrix), threshold);
}

/** d₁ e₁ d₂ … of the bidiagonal form. */
function bidiagonal({ rows, columns, data }: Matrix): Float64Array {
  const [n, m] = rows >= columns ? [rows, columns] : [columns, rows];
  const a = Float64Array.from({ length: n * m }, (_, at) => {
    const [i, j] = [Math.floor(at / m), at % m];
    return rows >= columns ? data[i * columns + j] : data[j * columns + i];
  });
  const beside = new Float64Array(2 * m - 1);
  for (let k = 0; k < m; k++) {
    beside[2 * k] = reflect(a, { from: k * m + k, count: n - k, step: m }, { others: m - k - 1, apart: 1 });
    if (k + 1 < m) {
      const row = { from: k * m + k + 1, count: m - k - 1, step: 1 };
      beside[2 * k + 1] = reflect(a, row, { others: n - k - 1, apart: m });
    }
  }
  return beside;
}

/**
 * Reflect a vector onto its first axis, and the vectors beside it alike.
 *
 * @returns what is left on the axis
 */
function reflect(
  a: Float64Array,
  { from, count, step }: { readonly from: number; readonly count: number; readonly step: number },
  { others, apart }: { readonly others: number; readonly apart: number },
): number {
  let scale = 0;
  for (let t = 0, at = from; t < count; t++, at += step) scale = Math.max(scale, Math.abs(a[at]));
  if (scale === 0) return 0;
  let square = 0;
  for (let t = 0, at = from; t < count; t++, at += step) square += (a[at] / scale) ** 2;
  const length = scale * Math.sqrt(square);
  const first = a[from];
  const left = first > 0 ? -length : length;
  a[from] = first - left; // the vector is now the normal of the mirror
  const half = left * a[from]; // −½ of its square
  if (half !== 0) {
    for (let o = 1; o <= others; o++) {
      let dot = 0;
      for (let t = 0, at = from; t < count; t++, at += step) dot += a[at] * a[at + o * apart];
      const factor = dot / half;
      for (let t = 0, at = from; t < count; t++, at += step) a[at + o * apart] += factor * a[at];
    }
  }
  return left;
}

/** No eigenvalue is larger: Gershgorin. */
function bound(beside: Float64Array): number {
  let most = 0;
  for (let i = 0; i <= beside.length; i++) {
    most = Math.max(most, Math.abs(beside[i - 1] ?? 0) + Math.abs(beside[i] ?? 0));
  }
  return most;
}

/** How many eigenvalues of the tridiagonal matrix are above x ≥ 0: as many as pivots of it less x are positive. */
function countAbove(beside: Float64Array, x: number): number {
  const tiny = Number.MIN_VALUE / Number.EPSILON;
  let pivot = -x || -tiny;
  let above = 0;
  for (const b of beside) {
    pivot = -x - (b * b) / pivot;
    if (pivot === 0) pivot = -tiny;
    if (pivot > 0) above++;
  }
  return above;
}
