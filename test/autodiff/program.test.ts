import assert from "node:assert/strict";
import { test } from "node:test";
import { inspect } from "node:util";
import {
  add,
  argmax,
  cast,
  checkpoint,
  concat,
  cumsum,
  flip,
  full,
  jit,
  matmul,
  max,
  mul,
  pad,
  plain,
  random,
  reshape,
  scan,
  slice,
  sum,
  type Tensor,
  take,
  tensor,
  trace,
  triangularSolve,
  vmap,
  zeros,
} from "@fmmformer/autodiff";
import { evaluate } from "@fmmformer/autodiff/extend";
import { agree } from "@fmmformer/kernels/laws";

test("a program prints its inputs, an equation a line, and what it returns", () => {
  const program = trace((p: { w: Tensor; b: Tensor }, x: Tensor, scale: number) => {
    const y = add(matmul(x, p.w), p.b);
    return { y: mul(y, scale), largest: max(y, { axis: 1 }), x };
  })({ w: zeros([3, 4]), b: zeros([4]) }, zeros([2, 3]), 0.5);
  const text = `
program(a: float32[4], b: float32[3,4], c: float32[2,3], d: number)
  e: float32[2,4] = matmul c b
  f: float32[2,4] = add e a
  g: float32 = cast {float32} d
  h: float32[2,4] = mul f g
  i: float32[2] = max {axes 1} f
  return i, c, h`.slice(1);
  assert.equal(String(program), text);
  assert.equal(inspect(program), text);
});

test("parameters are printed as a reader wants them", () => {
  const line = (f: (x: Tensor) => unknown): string =>
    String(trace(f)(zeros([3, 3])))
      .split("\n")[1]
      .replace(/^.* = /, "");
  const ids = tensor([1, 2], { dtype: "int32" });
  assert.deepEqual(
    [
      line((x) => reshape(x, [9])),
      line((x) => slice(x, [1, 0], [3, 3], { strides: [2, 1] })),
      line((x) =>
        pad(
          x,
          [
            [1, 2],
            [0, 0],
          ],
          { value: 5 },
        ),
      ),
      line((x) => concat([x, x], { axis: 1 })),
      line((x) => flip(x)),
      line((x) => sum(x, { axis: [0, 1] })),
      line((x) => argmax(x)),
      line((x) => cumsum(x, { axis: 0, reverse: true })),
      line((x) => cast(x, "int32")),
      line((x) => take(x, ids)),
      line((x) => add(x, full([3], 2))),
      line((x) => triangularSolve(x, x, { lower: false, unitDiagonal: true })),
    ],
    [
      "reshape {(9,)} a",
      "slice {[1:3:2, 0:3]} a",
      "pad {[1+2, 0+0] of 5} a",
      "concat {axis 1} a a",
      "flip {axis 1} a",
      "sum {axes 0,1} a",
      "argmax {axis 1} a",
      "cumsum {axis 0, reverse} a",
      "cast {int32} a",
      "gather a const(2,)",
      "add a full((3,), 2)",
      "triangularSolve {upper, unit diagonal} a a",
    ],
  );
  const draw = trace((k: Tensor) => random.bits(k, [2], { bits: 24 }))(random.key(0));
  assert.match(String(draw), /randomBits {\(2,\) of 24 bits} a 0\n/);
});

test("a program is a function of its inputs, for numbers and for tracers", () => {
  const f = (x: Tensor): Tensor => sum(mul(checkpoint((y: Tensor) => mul(y, y))(x), 3));
  const program = trace(f)(zeros([2]));
  const x = tensor([1, 2]);
  agree("plain", plain.compile(program)([x])[0], f(x));
  agree("traced", jit((y: Tensor) => evaluate(program, [y])[0])(x), f(x));
  agree(
    "mapped",
    vmap((y: Tensor) => evaluate(program, [y])[0])(
      tensor([
        [1, 2],
        [3, 4],
      ]),
    ),
    tensor([15, 75]),
  );
});

test("loops and calls are one equation each", () => {
  const f = (x: Tensor): unknown => [
    checkpoint((y: Tensor) => mul(y, y))(x),
    scan((c: Tensor, r: Tensor) => [add(c, r), c], zeros([]), x),
  ];
  assert.equal(
    String(trace(f)(zeros([4]))),
    `
program(a: float32[4])
  b: float32[4] = checkpoint a
  c: float32, d: float32[4] = scan {4 steps} 0 a
  return b, c, d`.slice(1),
  );
});
