import { flip, jit, sub, type Tensor, tensor } from "@fmmformer/autodiff";
import type { GpuEngine } from "@fmmformer/kernels/gpu";

/** Lengths that make no rectangle, and more than a row of a texture. */
export const lengths: readonly number[] = [10_007, 2 ** 20 + 7];

/** How many elements of x turned round − x are wrong, of whole numbers that say where they belong. */
export async function misplacedBy(engine: GpuEngine, size: number): Promise<number> {
  const places = Float32Array.from({ length: size }, (_, i) => i);
  const { data } = await jit((x: Tensor) => sub(flip(x), x), { engine })(tensor(places));
  return places.reduce((wrong, i) => wrong + (data[i] === size - 1 - 2 * i ? 0 : 1), 0);
}
