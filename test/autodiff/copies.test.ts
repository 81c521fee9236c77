import assert from "node:assert/strict";
import { cpSync, mkdtempSync, rmSync, writeFileSync } from "node:fs";
import { tmpdir } from "node:os";
import { join } from "node:path";
import { after, test } from "node:test";
import { fileURLToPath, pathToFileURL } from "node:url";
import * as a from "@fmmformer/autodiff";

// Two copies of the package in one process, as two versions in node_modules would be: a, and b from a folder of its own.

const folder = mkdtempSync(join(tmpdir(), "fmmformer-copy-"));
after(() => rmSync(folder, { recursive: true }));
cpSync(fileURLToPath(new URL("../../packages/autodiff/src", import.meta.url)), folder, { recursive: true });
writeFileSync(join(folder, "package.json"), '{ "type": "module" }');
const b = (await import(pathToFileURL(join(folder, "index.ts")).href)) as typeof a;

const x = a.tensor([4, 5, 6]);
const w = b.tensor([1, 2, 3]);
const twos = b.full([3], 2);

test("ops and transformations of one copy take the other's tensors", () => {
  assert.notEqual(Object.getPrototypeOf(w), Object.getPrototypeOf(x));
  const is = (y: a.Tensor, values: a.Nested): void => assert.deepEqual(y.toArray(), values);
  const times = (y: a.Tensor): a.Tensor => a.mul(a.mul(y, w), twos);
  const loss = (y: a.Tensor): a.Tensor => a.sum(times(y));
  is(times(x), [8, 20, 36]);
  is(a.mul(w, w), [1, 4, 9]);
  for (const slope of [a.grad(loss), a.jit(a.grad(loss)), a.grad(a.jit(loss)), a.grad(a.checkpoint(loss))]) {
    is(slope(x), [2, 4, 6]);
    is(slope(w), [2, 4, 6]);
  }
  const mapped = a.vmap(times);
  is(mapped(a.stack([x, x])), [
    [8, 20, 36],
    [8, 20, 36],
  ]);
  const [product, constant] = [a.jit(a.mul), a.jit(() => w)];
  is(product(x, w), [4, 10, 18]);
  is(constant(), [1, 2, 3]);
  const [last] = a.scan((c: a.Tensor) => [a.mul(c, w), w], x, null, { length: 2 });
  is(last, [4, 20, 54]);
  const program = String(a.trace(times)(x));
  assert.match(program, /mul a const\(3,\)/);
  assert.match(program, /full\(\(3,\), 2\)/);
});

test("a NaN is not blamed on the op that takes it from the other copy", () => {
  const nan = b.tensor([NaN, 1, 1]);
  const closed = a.debugNaNs((y: a.Tensor) => a.add(y, nan));
  const given = a.debugNaNs((y: a.Tensor) => a.add(y, x));
  for (const sum of [closed(x), given(nan)]) assert.ok(Number.isNaN(sum.data[0]));
});

test("a tracer of the other copy is refused, wherever it comes in", () => {
  const refuses = (call: () => unknown, op: string): void =>
    assert.throws(call, {
      name: "TypeError",
      message:
        `${op}: expected values of one copy of @fmmformer/autodiff, got a tracer of another; ` +
        "two copies are loaded, make them one (npm ls @fmmformer/autodiff lists them)",
    });
  refuses(() => a.grad((y: a.Tensor) => a.sum(b.mul(y, 2)))(x), "mul");
  refuses(() => a.jit((y: a.Tensor) => b.mul(y, 2))(x), "mul");
  refuses(() => a.vmap((y: a.Tensor) => b.mul(y, 2))(x), "mul");
  refuses(() => a.grad((y: a.Tensor) => a.sum(b.take(y, 0)))(x), "moveAxis");
  refuses(() => a.grad((y: a.Tensor) => b.jit((v: a.Tensor) => b.sum(v))(y))(x), "jit");
  refuses(() => a.grad((y: a.Tensor) => b.grad((v: a.Tensor) => b.sum(v))(y))(x), "grad");
  const op = b.customVjp({ name: "op", forward: (v: a.Tensor) => [v, null], pullback: (_, g) => [g] });
  refuses(() => a.grad((y: a.Tensor) => a.sum(op(y)))(x), "op");
  let kept = x;
  a.jit((y: a.Tensor) => {
    kept = y;
    return y;
  })(x);
  refuses(() => b.jit(() => kept)(), "jit");
});
