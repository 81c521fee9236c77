import { add, expandDims, matmul, mul, stack, sub, swapAxes, type Tensor, take, zeros } from "@fmmformer/autodiff";

/** The delta rule token by token. */
export function fastWeight(
  q: Tensor,
  k: Tensor,
  v: Tensor,
  beta: Tensor,
  options: { readonly state?: Tensor | null } = {},
): [o: Tensor, state: Tensor] {
  const [n, f] = q.shape.slice(-2);
  const m = v.shape[v.shape.length - 1];
  let state = options.state ?? zeros([...q.shape.slice(0, -2), f, m], { dtype: v.dtype });
  const outputs: Tensor[] = [];
  for (let i = 0; i < n; i++) {
    const row = (x: Tensor): Tensor => expandDims(take(x, i, { axis: -2 }), -2);
    const rate = expandDims(expandDims(take(beta, i, { axis: -1 }), -1), -1);
    const old = matmul(row(k), state);
    state = add(state, matmul(swapAxes(row(k), -1, -2), mul(rate, sub(row(v), old))));
    outputs.push(take(matmul(row(q), state), 0, { axis: -2 }));
  }
  return [stack(outputs, { axis: -2 }), state];
}
