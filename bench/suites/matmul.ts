import { jit, matmul as product, type Tensor, transpose } from "@fmmformer/autodiff";
import { type Case, drawn, type Settings } from "../case.ts";

/** Which operand is transposed: none, the right or the left. */
const kinds: { readonly [kind: string]: (a: Tensor, b: Tensor) => Tensor } = {
  NN: (a, b) => product(a, b),
  NT: (a, b) => product(a, transpose(b)),
  TN: (a, b) => product(transpose(a), b),
};

/** Cubes, and the products of a model of width 64 with its weights: forward (NN), for the cotangents of rows (NT) and of weights (TN). */
export function* matmul({ engine, tokens = 2048, batch = 4 }: Settings): Iterable<Case> {
  const rows = batch * tokens;
  for (const n of [64, 256, 512, 1024]) yield one("NN", n, n, n);
  for (const out of [64, 192]) {
    yield one("NN", rows, 64, out);
    yield one("NT", rows, out, 64);
    yield one("TN", 64, rows, out);
  }

  /** (n, k) × (k, m), whichever way they are stored */
  function one(kind: string, n: number, k: number, m: number): Case {
    const a = drawn(kind === "TN" ? [k, n] : [n, k]);
    const b = drawn(kind === "NT" ? [m, k] : [k, m]);
    const multiply = jit(kinds[kind], { engine });
    return { label: kind, shape: `${n}×${k}×${m}`, run: () => multiply(a, b), stats: multiply.stats };
  }
}
