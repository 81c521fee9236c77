import { apply, definePrimitive, type Primitive } from "../bind.ts";
import { iota } from "../create.ts";
import { isFloat } from "../dtype.ts";
import { ShapeError, showShape } from "../errors.ts";
import { broadcastShapes, sameShape } from "../shape.ts";
import type { Tensor } from "../tensor.ts";
import { broadcastTo } from "./broadcast.ts";
import { cast } from "./cast.ts";
import { less, lessEqual, neg, promoteOperands, where } from "./elementwise.ts";
import { expandDims, swapAxes } from "./layout.ts";
import { matmul } from "./matmul.ts";

interface SolveParams {
  readonly lower: boolean;
  readonly transpose: boolean;
  /** The diagonal is taken as 1 and not read. */
  readonly unit: boolean;
}

export const triangularSolvePrimitive: Primitive<SolveParams> = definePrimitive<SolveParams>({
  name: "triangularSolve",
  shape([a, b]) {
    const [n, m] = a.shape.slice(-2);
    if (a.shape.length < 2 || n !== m)
      throw new ShapeError(`triangularSolve: expected square matrices a, got ${showShape(a.shape)}`);
    const expected = [...a.shape.slice(0, -1), b.shape[b.shape.length - 1]];
    if (!sameShape(b.shape, expected)) {
      throw new ShapeError(
        `triangularSolve: expected b (…, n=${n}, m) for a ${showShape(a.shape)}, got ${showShape(b.shape)}`,
      );
    }
    return { shape: b.shape, dtype: b.dtype, weak: false };
  },
  value(out, [a, b], { lower, transpose, unit }) {
    const [n, m] = b.shape.slice(-2);
    const forwards = lower !== transpose;
    const x = new Float64Array(n * m);
    for (let block = 0; block * n * m < out.length; block++) {
      const entry = (i: number, j: number): number => a.data[block * n * n + (transpose ? j * n + i : i * n + j)];
      for (let step = 0; step < n; step++) {
        const i = forwards ? step : n - 1 - step;
        for (let c = 0; c < m; c++) {
          let rest = b.data[(block * n + i) * m + c];
          for (let j = forwards ? 0 : i + 1; j < (forwards ? i : n); j++) rest -= entry(i, j) * x[j * m + c];
          x[i * m + c] = unit ? rest : rest / entry(i, i);
        }
      }
      out.set(x, block * n * m);
    }
  },
  // With X = A⁻¹ B: the cotangent of B is A⁻ᵀ G, that of A is −(A⁻ᵀ G) Xᵀ where A is read.
  vjp(g, [a], x, params) {
    const db = (): Tensor => apply(triangularSolvePrimitive, [a, g], { ...params, transpose: !params.transpose });
    return [
      () => {
        const full = neg(matmul(db(), swapAxes(x, -1, -2)));
        return triangle(params.transpose ? swapAxes(full, -1, -2) : full, params);
      },
      db,
    ];
  },
  batch: (size, args, batched, params) =>
    apply(
      triangularSolvePrimitive,
      args.map((x, i) => (batched[i] ? x : broadcastTo(x, [size, ...x.shape]))),
      params,
    ),
  show: ({ lower, transpose, unit }) =>
    [lower ? "lower" : "upper", ...(transpose ? ["transposed"] : []), ...(unit ? ["unit diagonal"] : [])].join(", "),
});

/** The part of a matrix that is read. */
function triangle(x: Tensor, { lower, unit }: SolveParams): Tensor {
  const index = iota(x.shape[x.shape.length - 1]);
  const [row, column] = [expandDims(index, 1), index];
  const [low, high] = lower ? [column, row] : [row, column];
  return where(unit ? less(low, high) : lessEqual(low, high), x, 0);
}

/**
 * Solve A X = B for triangular A, over the last two axes; leading axes broadcast. O(n²·m) time.
 *
 * @param a - (…, n, n); only one triangle is read
 * @param b - (…, n, m)
 * @param options.lower - which triangle (default: the lower)
 * @param options.transposeA - solve Aᵀ X = B instead
 * @param options.unitDiagonal - take the diagonal as 1 without reading it
 */
export function triangularSolve(
  a: Tensor,
  b: Tensor,
  options: { readonly lower?: boolean; readonly transposeA?: boolean; readonly unitDiagonal?: boolean } = {},
): Tensor {
  const [left, right] = promoteOperands("triangularSolve", a, b).map((x) =>
    isFloat(x.dtype) ? x : cast(x, "float32"),
  );
  if (right.shape.length < 2)
    throw new ShapeError(`triangularSolve: expected b (…, n, m), got ${showShape(right.shape)}; add an axis`);
  const lead = broadcastShapes("triangularSolve", left.shape.slice(0, -2), right.shape.slice(0, -2));
  const { lower = true, transposeA = false, unitDiagonal = false } = options;
  return apply(
    triangularSolvePrimitive,
    [left, right].map((x) => broadcastTo(x, [...lead, ...x.shape.slice(-2)])),
    { lower, transpose: transposeA, unit: unitDiagonal },
  );
}
