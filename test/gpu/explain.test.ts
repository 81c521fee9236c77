import assert from "node:assert/strict";
import { test } from "node:test";
import { add, div, exp, gelu, matmul, mul, random, type Tensor, tensor, trace } from "@fmmformer/autodiff";
import { explainKernels } from "@fmmformer/kernels/gpu";
import { agree } from "@fmmformer/kernels/laws";

type ThreadFunction = (this: { thread: { x: number } }, ...args: (ArrayLike<number> | number)[]) => number;

/** The last kernel's result, all kernels run in plain JavaScript. */
function runPlainly(f: (...xs: Tensor[]) => Tensor, args: Tensor[]): Tensor {
  const results: Float32Array[] = [];
  for (const { size, reads, source } of explainKernels(trace(f)(...args))) {
    const given = reads.map((from) => {
      const [what, which] = from.split(" ");
      return what === "input" ? args[Number(which)].data : results[Number(which)];
    });
    const thread = new Function(`return ${source}`)() as ThreadFunction;
    results.push(Float32Array.from({ length: size }, (_, x) => thread.call({ thread: { x } }, ...given)));
  }
  return tensor(results[results.length - 1], { shape: f(...args).shape });
}

test("the kernels of a program, in order, are the program", () => {
  const [x, w, c] = [[5, 3], [3, 4], [4]].map((shape, i) => random.normal(random.key(i), shape));
  const f = (...[t, u, v]: Tensor[]): Tensor => gelu(add(matmul(exp(t), u), v));
  agree("explainKernels", runPlainly(f, [x, w, c]), f(x, w, c), { tolerance: 1e-6 });
});

test("what the host sends and what never changes are told apart", () => {
  const table = random.normal(random.key(0), [6]);
  const program = trace((x: Tensor, rate: Tensor) => mul(add(x, table), div(rate, 3)))(table, tensor(2));
  const [{ size, reads }, ...others] = explainKernels(program);
  assert.equal(others.length, 0);
  assert.equal(size, 6);
  assert.deepEqual([...reads].sort(), ["constant", "input 0", "sent"]);
});
