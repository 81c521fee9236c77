// What wasm.test.ts does in a page, and in Node to compare.
import {
  add,
  gelu,
  jit,
  matmul,
  mean,
  mul,
  reshape,
  sub,
  type Tensor,
  tensor,
  valueAndGrad,
} from "@fmmformer/autodiff";
import { layerNorm, nearField } from "@fmmformer/kernels";
import { wasm } from "@fmmformer/kernels/wasm";

/** Numbers that no host draws differently. */
const mixed = (seed: number, ...shape: number[]): Tensor => {
  const size = shape.reduce((n, m) => n * m, 1);
  const at = (i: number): number => (((Math.imul(i + seed, 2654435761) >>> 8) % 2001) - 1000) / 1000;
  return tensor(
    Float32Array.from({ length: size }, (_, i) => at(i)),
    { shape },
  );
};

/** Ten steps down the gradient of a small model with a near field: the losses, and the last weights. */
export function trained(): { readonly losses: number[]; readonly weights: number[] } {
  const [h, n, d] = [2, 70, 8];
  const loss = (w: Tensor, x: Tensor): Tensor => {
    const tokens = reshape(matmul(x, w), [h, n, d]);
    const near = nearField(tokens, tokens, tokens, { bandwidth: 5 });
    const y = layerNorm(gelu(near), mul(tensor(new Float32Array(d)), 0), tensor(new Float32Array(d).fill(0.5)));
    const error = sub(add(y, near), 0.25);
    return mean(mul(error, error));
  };
  const step = jit(
    (w: Tensor, x: Tensor) => {
      const [value, g] = valueAndGrad(loss)(w, x);
      return { w: sub(w, mul(g, 0.5)), value };
    },
    { engine: wasm(), donate: [0] },
  );
  const x = mixed(1, h * n, 6);
  const losses: number[] = [];
  let w = mixed(2, 6, d);
  for (let i = 0; i < 10; i++) {
    const next = step(w, x);
    losses.push(next.value.item());
    w = next.w;
  }
  return { losses, weights: [...w.data] };
}
