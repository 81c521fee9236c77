import type { Var } from "@fmmformer/autodiff/extend";
import { type Builder, block, longestSum, reduced } from "./builder.ts";
import { plus, times } from "./code.ts";
import { broadcast, computed, type Formula, filled } from "./formula.ts";

/** Σ_k x_ik w_kj, each element by one thread; long sums in blocks. Transposed operands are read as they lie. */
export function matmul(b: Builder, y: Pick<Var, "shape" | "dtype">, x: Formula, w: Formula): Formula {
  const lead = y.shape.slice(0, -2);
  const k = x.shape[x.shape.length - 1];
  if (k === 0) return filled(0, y);
  const left = broadcast(b.light(x), [...lead, ...x.shape.slice(-2)]);
  const right = broadcast(b.light(w), [...lead, ...w.shape.slice(-2)]);
  const size = k > longestSum ? block : k;
  const chunks = Math.ceil(k / size);
  const product = computed({ shape: [...y.shape, chunks], dtype: y.dtype }, [left, right], 2 * size, (code, place) => {
    const [i, j, chunk] = place.slice(-3);
    const z = place.slice(0, -3);
    const dot = code.variable("0");
    code.loop(size, (t) => {
      const e = chunks === 1 ? t : code.name(plus(times(chunk, size), t));
      const add = (): void =>
        code.set(dot, `${dot} + ${left.at(code, [...z, i, e])} * ${right.at(code, [...z, e, j])}`);
      if (k % size === 0) add();
      else code.when(`${e} < ${k}`, add);
    });
    return dot;
  });
  if (chunks > 1) return reduced(b, "sum", b.store(product), [y.shape.length]);
  return { ...product, shape: y.shape, at: (code, place) => product.at(code, [...place, "0"]) };
}
