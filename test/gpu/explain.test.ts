import assert from "node:assert/strict";
import { test } from "node:test";
import {
  add,
  broadcastTo,
  div,
  exp,
  gelu,
  matmul,
  mul,
  random,
  slice,
  sum,
  type Tensor,
  tensor,
  trace,
} from "@fmmformer/autodiff";
import { bandDot } from "@fmmformer/kernels";
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

test("a place is not taken apart where its number will do, and a value that is used twice is read once", () => {
  const x = random.normal(random.key(0), [3, 4, 5]);
  const [{ source }] = explainKernels(trace((t: Tensor) => mul(t, t))(x));
  assert.equal(source, "function (a0) {\n  const i = this.thread.x;\n  const v0 = a0[i];\n  return (v0 * v0);\n}");
});

test("a place that is known is a number", () => {
  const [{ source }] = explainKernels(
    trace((t: Tensor) => slice(t, [2, 0], [3, 1]))(random.normal(random.key(0), [3, 2])),
  );
  assert.match(source, /a0\[4\]/);
});

test("what does not change in a loop is computed in front of it, but nothing is read that may not be there", () => {
  const [x, w] = [random.normal(random.key(0), [3, 6]), random.normal(random.key(1), [6, 5])];
  const [{ source }] = explainKernels(trace((t: Tensor, u: Tensor) => matmul(t, u))(x, w));
  const [, inner] = source.split("for (");
  assert.match(inner, /a0\[\(v\d+ \+ v\d+\)\];[\s\S]*a1\[\(v\d+ \+ v\d+ \* 5\)\];/);
  const rows = (t: Tensor): Tensor => bandDot(t, t, { left: 1, right: 2 });
  const [band] = explainKernels(trace(rows)(x));
  assert.ok(band.source.indexOf("a0[") > band.source.indexOf("if (v"));
  const sums = trace((t: Tensor) => sum(broadcastTo(t, [4, 3, 6]), { axis: 0 }))(x);
  const [{ source: outside }] = explainKernels(sums);
  assert.ok(outside.indexOf("a0[i]") < outside.indexOf("for ("));
});
