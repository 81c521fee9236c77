import { add, div, flatten, minimum, mul, type Scalar, sqrt, sum, type Tensor, treeMap } from "@fmmformer/autodiff";
import type { Optimizer } from "./optimizer.ts";

// Both shrink gradients whose length exceeds a limit, by min(1, limit / (length + 1e-6)) as PyTorch does.

/** Shrink all gradients together, so that their length as one vector is at most the limit. */
export function clipByGlobalNorm(limit: number): Optimizer<null> {
  return clipping("clipByGlobalNorm", limit, (grads) => {
    const squares = (flatten(grads).leaves as Tensor[]).map(squareSum);
    const factor = shrinking(
      limit,
      squares.reduce<Scalar>((total, square) => add(total, square), 0),
    );
    return treeMap((g) => mul(g, factor), grads);
  });
}

/** Shrink each tensor of the gradients by itself, so that its length is at most the limit. */
export function clipPerTensor(limit: number): Optimizer<null> {
  return clipping("clipPerTensor", limit, (grads) =>
    treeMap((g) => mul(g, shrinking(limit, squareSum(g as Tensor))), grads),
  );
}

function clipping(name: string, limit: number, clip: <Grads>(grads: Grads) => Grads): Optimizer<null> {
  if (!(limit > 0)) throw new RangeError(`${name}: expected a limit > 0, got ${limit}`);
  return { init: () => null, update: (grads) => [clip(grads), null] };
}

function squareSum(g: Tensor): Tensor {
  return sum(mul(g, g));
}

function shrinking(limit: number, squares: Scalar): Tensor {
  return minimum(1, div(limit, add(sqrt(squares), 1e-6)));
}
