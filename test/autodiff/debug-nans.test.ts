import assert from "node:assert/strict";
import { test } from "node:test";
import {
  checkpoint,
  debugNaNs,
  div,
  grad,
  jit,
  log,
  mul,
  NaNError,
  scan,
  sqrt,
  sub,
  sum,
  type Tensor,
  tensor,
  vmap,
} from "@fmmformer/autodiff";

const here = /debug-nans\.test\.ts:\d+:\d+\)?$/;

/** The NaNError that a call throws. */
function caught(call: () => unknown): NaNError {
  let found: unknown;
  assert.throws(call, (error) => {
    found = error;
    return error instanceof NaNError;
  });
  return found as NaNError;
}

test("the op that makes the first NaN is named, with shapes and the line that called it", () => {
  const f = (x: Tensor): Tensor => sum(mul(log(x), 2));
  const { message } = caught(() => debugNaNs(f)(tensor([1, -1])));
  assert.match(message, /^log: expected numbers, got NaN in a result of shape \(2,\) from \(2,\), at /);
  assert.match(message, here);
});

test("so is one of a backward pass, also inside jit, vmap and checkpoint", () => {
  // √x at 0 times 0: the value is fine, its derivative is 0 · ∞.
  const f = (x: Tensor): Tensor => sum(mul(sqrt(x), 0));
  assert.equal(f(tensor([0, 1])).item(), 0);
  for (const g of [
    grad(f),
    jit(grad(f)),
    grad(jit(f)),
    vmap(grad((x: Tensor) => sum(mul(sqrt(x), 0)))),
    grad(checkpoint(f)),
  ]) {
    const { message } = caught(() => debugNaNs(g)(tensor([0, 1])));
    assert.match(message, /^(div|checkpoint\.pullback): expected numbers, got NaN/);
    assert.match(message, here);
  }
});

test("a loop that makes a NaN is named", () => {
  const f = (x: Tensor): Tensor => scan((c: Tensor) => [sub(c, 1), log(c)], x, null, { length: 5 })[1];
  assert.match(caught(() => debugNaNs(f)(tensor(2.5))).message, /^scan: /);
});

test("NaNs that were given, and functions that make none, pass", () => {
  const f = (p: { x: Tensor; n: number }): readonly Tensor[] => [mul(p.x, p.n), div(p.x, 0)];
  const [y, infinite] = debugNaNs(f)({ x: tensor([1, NaN]), n: 2 });
  assert.deepEqual(
    [y.toArray(), infinite.toArray()],
    [
      [2, NaN],
      [Infinity, NaN],
    ],
  );
  assert.throws(() => debugNaNs(f)({ x: tensor([0]), n: 2 }), NaNError);
});

test("the length of stack traces is left as it was", () => {
  const before = Error.stackTraceLimit;
  caught(() => debugNaNs(log)(tensor(-1)));
  assert.equal(Error.stackTraceLimit, before);
});
