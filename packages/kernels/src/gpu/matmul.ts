import type { Var } from "@fmmformer/autodiff/extend";
import type { Builder } from "./builder.ts";
import { broadcast, type Formula } from "./formula.ts";
import { summed } from "./sums.ts";

/** Σ_k x_ik w_kj, each element by one thread. Transposed operands are read as they lie. */
export function matmul(b: Builder, y: Pick<Var, "shape" | "dtype">, x: Formula, w: Formula): Formula {
  const lead = y.shape.slice(0, -2);
  const left = broadcast(b.light(x), [...lead, ...x.shape.slice(-2)]);
  const right = broadcast(b.light(w), [...lead, ...w.shape.slice(-2)]);
  const depth = x.shape[x.shape.length - 1];
  return summed(b, y, depth, { reads: [left, right], cost: 2 }, (code, place, k, total) => {
    const [z, i, j] = [place.slice(0, -2), ...place.slice(-2)] as [string[], string, string];
    code.set(total, `${total} + ${left.at(code, [...z, i, k])} * ${right.at(code, [...z, k, j])}`);
  });
}
