import { add, gelu, jit, mul, sum, type Tensor, tensor } from "@fmmformer/autodiff";
import { type Case, drawn, type Settings } from "../case.ts";

/** What memory limits: a chain of operations on each element, and a sum, with what it comes to. */
export function* elementwise({ engine }: Settings): Iterable<Case> {
  const size = 4_000_000;
  const [x, y, z] = [drawn([size]), drawn([size]), drawn([size])];
  const chain = jit((x: Tensor, y: Tensor, z: Tensor) => add(mul(gelu(x), y), z), { engine });
  yield { label: "gelu(x)·y + z", shape: `${size}`, run: () => chain(x, y, z), stats: chain.stats };

  const tenths = tensor(new Float32Array(1e7).fill(0.1), { shape: [1e7] });
  const total = jit((x: Tensor) => sum(x), { engine });
  yield {
    label: "sum",
    shape: `${tenths.size}`,
    run: () => total(tenths),
    stats: total.stats,
    note: () => `10⁷ × 0.1 = ${total(tenths).item()}`,
  };
}
