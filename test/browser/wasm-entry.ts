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
export async function trained(threads = 1): Promise<{ readonly losses: number[]; readonly weights: number[] }> {
  const engine = wasm({ threads });
  await engine.ready();
  const [h, n, d] = [2, 700, 8];
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
    { engine, donate: [0] },
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

/** A call that does not wait for the threads. */
export function early(): number {
  return jit((x: Tensor) => mul(x, 2), { engine: wasm({ threads: 2 }) })(tensor([1])).item();
}

/** Engines that nothing refers to any longer: their workers end, and a page can make many. */
export async function many(count: number): Promise<number> {
  let sum = 0;
  for (let i = 0; i < count; i++) {
    const engine = wasm({ threads: 3 });
    await engine.ready();
    sum += jit((x: Tensor) => mul(x, i), { engine })(tensor([1, 2])).data[1];
  }
  return sum;
}
