import assert from "node:assert/strict";
import { test } from "node:test";
import {
  add,
  argmax,
  cumsum,
  exp,
  grad,
  hessian,
  jacobian,
  jit,
  jvp,
  linearize,
  logSumExp,
  matmul,
  mul,
  type Scalar,
  ShapeError,
  sin,
  softmax,
  square,
  sum,
  type Tensor,
  take,
  tanh,
  tensor,
  transpose,
  vmap,
} from "@fmmformer/autodiff";
import { agree } from "@fmmformer/kernels/laws";

const float64 = (...values: number[]): Tensor => tensor(Float64Array.from(values));
const eye = (n: number): Tensor =>
  tensor(
    Float64Array.from({ length: n * n }, (_, i) => Number(i % (n + 1) === 0)),
    { shape: [n, n] },
  );

test("jvp gives the value and the derivative along a direction", () => {
  const [y, dy] = jvp(
    (x: Tensor, z: Tensor) => ({ p: mul(x, z), s: [sin(x)] }),
    [float64(1, 2), float64(3, 5)],
    [float64(1, 0), float64(0, 10)],
  );
  agree("value", y, { p: float64(3, 10), s: [float64(Math.sin(1), Math.sin(2))] });
  agree("tangent", dy, { p: float64(3, 20), s: [float64(Math.cos(1), 0)] });
});

test("tangents of integers and of absent leaves are null, and misplace nothing", () => {
  interface Params {
    readonly bias: Tensor | null;
    readonly ids: Tensor;
    readonly weight: Tensor;
  }
  const f = (p: Params): Tensor => mul(take(p.weight, p.ids), 3);
  const ids = tensor([1], { dtype: "int32" });
  const [y, dy] = jvp(
    f,
    [{ bias: null, ids, weight: float64(1, 2) }],
    [{ bias: null, ids: null as never, weight: float64(10, 20) }],
  );
  assert.deepEqual([y.toArray(), dy.toArray()], [[6], [60]]);
  const [, none] = jvp((x: Tensor) => argmax(x), [float64(1, 2)], [float64(1, 1)]);
  assert.equal(none, null);
});

test("jvp refuses tangents of another shape or form", () => {
  const x = float64(1, 2);
  assert.throws(() => jvp(exp, [x], [float64(1)]), new ShapeError("jvp: expected a tangent of shape (2,), got (1,)"));
  assert.throws(
    () => jvp((p: { a: Tensor }) => exp(p.a), [{ a: x }], [x as never]),
    new TypeError('jvp: expected a tree of the form [{"a":*}], got [*]'),
  );
});

test("a linearized function is evaluated once and pushed forward often", () => {
  let evaluated = 0;
  const [y, push] = linearize(
    (x: Tensor) => {
      evaluated++;
      return square(x);
    },
    float64(3, 1),
  );
  assert.deepEqual(push(float64(1, 0)).toArray(), [6, 0]);
  assert.deepEqual(push(float64(0, 1)).toArray(), [0, 2]);
  assert.deepEqual(push(float64(2, 2)).toArray(), [12, 4]);
  assert.deepEqual([y.toArray(), evaluated], [[9, 1], 1]);
});

test("a Jacobian has the axes of the result in front of those of the argument, for every pair of leaves", () => {
  const f = (p: { a: Tensor; b: Tensor }): readonly [Tensor, Tensor] => [matmul(p.a, p.b), sum(p.b)];
  const p = {
    a: tensor(
      [
        [1, 2, 3],
        [4, 5, 6],
      ],
      { dtype: "float64" },
    ),
    b: float64(7, 8, 9),
  };
  const [ofProduct, ofSum] = jacobian(f)(p);
  assert.deepEqual(
    [ofProduct.a.shape, ofProduct.b.shape, ofSum.a.shape, ofSum.b.shape],
    [[2, 2, 3], [2, 3], [2, 3], [3]],
  );
  assert.deepEqual(ofProduct.b.toArray(), p.a.toArray());
  assert.deepEqual(ofProduct.a.toArray(), [
    [
      [7, 8, 9],
      [0, 0, 0],
    ],
    [
      [0, 0, 0],
      [7, 8, 9],
    ],
  ]);
  assert.deepEqual(ofSum.b.toArray(), [1, 1, 1]);
});

test("a Jacobian of integers is refused, as a gradient is", () => {
  const ids = tensor([1, 2], { dtype: "int32" });
  const message = "jacobian: expected float arguments, got a tensor of shape (2,) and dtype int32; cast it";
  assert.throws(() => jacobian((x: Tensor) => mul(x, 2))(ids), { name: "DTypeError", message });
  assert.throws(() => jacobian((p: { x: Tensor; ids: Tensor }) => p.x)({ x: float64(1), ids }), { message });
  assert.deepEqual(jacobian((x: Tensor, i: Tensor) => take(x, i))(float64(1, 2, 3), ids).shape, [2, 3]);
});

test("a Jacobian row by row is one column by column", () => {
  const f = (x: Tensor): Tensor => cumsum(mul(softmax(x), sin(x)));
  const x = float64(0.3, -0.7, 1.1);
  const columns = vmap((t: Tensor) => jvp(f, [x], [t])[1])(eye(3));
  agree("jacobian", jacobian(f)(x), transpose(columns), { tolerance: 1e-14 });
});

test("a Hessian is the same forward over reverse, reverse over reverse, and by hand", () => {
  const f = (x: Tensor): Tensor => add(logSumExp(x), sum(mul(tanh(x), square(x))));
  const x = float64(0.3, -0.7, 1.1);
  const forward = vmap((t: Tensor) => jvp(grad(f), [x], [t])[1])(eye(3));
  const reverse = vmap((t: Tensor) => grad((v: Tensor) => sum(mul(grad(f)(v), t)))(x))(eye(3));
  agree("forward over reverse", hessian(f)(x), forward, { tolerance: 1e-13 });
  agree("reverse over reverse", hessian(f)(x), reverse, { tolerance: 1e-13 });
  agree("jit", jit(hessian(f))(x), forward, { tolerance: 1e-13 });
  const a = tensor(
    [
      [1, 2],
      [5, -3],
    ],
    { dtype: "float64" },
  );
  const quadratic = (v: Tensor): Tensor => matmul(v, matmul(a, v));
  agree("quadratic", hessian(quadratic)(float64(4, 5)), add(a, transpose(a)), { tolerance: 1e-14 });
});

test("a Hessian times a vector costs no matrix", () => {
  const f = (x: Tensor): Tensor => sum(mul(mul(x, x), x));
  const product = (x: Tensor, v: Tensor): Tensor => jvp(grad(f), [x], [v])[1];
  assert.deepEqual(product(float64(1, 2), float64(1, 10)).toArray(), [6, 120]);
});

test("derivatives of a number are numbers' worth of tensors", () => {
  const cube = (x: Scalar): Tensor => mul(mul(x, x), x);
  assert.equal(jvp(cube, [2], [tensor(1)])[1].item(), 12);
  assert.equal(jacobian(cube)(2).item(), 12);
  assert.equal(hessian(cube)(2).item(), 12);
});
