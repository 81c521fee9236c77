import { type Jitted, jit, mul, sum, type Tensor, tensor, valueAndGrad } from "@fmmformer/autodiff";
import { type Case, drawn, type Settings } from "./case.ts";

/** What attends: q, k, v (b, h, n, d) ↦ (b, h, n, d). */
export type Attend = (q: Tensor, k: Tensor, v: Tensor) => Tensor;

/** What attention is timed at. */
export interface AttentionSizes {
  readonly b: number;
  readonly h: number;
  readonly n: number;
  readonly d: number;
}

/** Forward, and forward with backward against a random cotangent. */
export function* attentionCases(
  label: string,
  attend: Attend,
  { engine }: Settings,
  { b, h, n, d }: AttentionSizes,
): Iterable<Case> {
  const [q, k, v, g] = drawnHeads([b, h, n, d]);
  const shape = `b${b} h${h} n${n} d${d}`;
  const forward = jit(attend, { engine });
  yield {
    label: `${label} forward`.trim(),
    shape,
    run: () => forward(q, k, v),
    stats: forward.stats,
  };
  const both = forwardAndBackward(attend, { engine });
  yield {
    label: `${label} forward+backward`.trim(),
    shape,
    run: () => both(q, k, v, g),
    stats: both.stats,
  };
}

/** q, k, v, g ↦ ⟨attend(q, k, v), g⟩ and its gradients with respect to q, k and v. */
export function forwardAndBackward(
  attend: Attend,
  { engine }: Pick<Settings, "engine">,
): Jitted<[q: Tensor, k: Tensor, v: Tensor, g: Tensor], [Tensor, readonly [Tensor, Tensor, Tensor]]> {
  return jit(
    valueAndGrad((q: Tensor, k: Tensor, v: Tensor, g: Tensor) => sum(mul(attend(q, k, v), g)), { argnums: [0, 1, 2] }),
    { engine },
  );
}

/** Queries, keys, values and a cotangent: four that differ. */
export function drawnHeads(shape: readonly number[]): Tensor[] {
  const all = drawn([4, ...shape]);
  const size = all.size / 4;
  return [0, 1, 2, 3].map((i) => tensor(all.data.slice(i * size, (i + 1) * size), { shape }));
}
