import assert from "node:assert/strict";
import { test } from "node:test";
import {
  add,
  argmax,
  checkGradients,
  checkLinear,
  cos,
  customVjp,
  GradientError,
  matmul,
  mul,
  neg,
  random,
  sin,
  square,
  sum,
  swapAxes,
  type Tensor,
  take,
  tanh,
  tensor,
} from "@fmmformer/autodiff";

/** An op whose pullback is wrong. */
function planted(f: (x: Tensor) => Tensor, pullback: (x: Tensor, g: Tensor) => Tensor): (x: Tensor) => Tensor {
  return customVjp({
    name: "planted",
    forward: (x: Tensor) => [f(x), x],
    pullback: (x, g: Tensor) => [pullback(x, g)],
  });
}

const x = tensor([
  [0.3, -0.7, 1.1],
  [0.9, 0.2, -0.4],
]);

test("a right gradient passes, of any order, with trees, numbers and integers among the arguments", () => {
  checkGradients((v: Tensor) => mul(tanh(v), sum(square(v))), [x], { order: 3 });
  const f = (p: { w: Tensor; scale: number }, ids: Tensor): readonly Tensor[] => [
    mul(take(p.w, ids), p.scale),
    argmax(p.w),
  ];
  checkGradients(f, [{ w: x, scale: 2 }, tensor([1, 0, 1], { dtype: "int32" })], { order: 2 });
});

test("planted errors are found: a sign, a factor, a place, a constant", () => {
  const wrong: Record<string, (v: Tensor) => Tensor> = {
    sign: planted(sin, (v, g) => neg(mul(g, cos(v)))),
    factor: planted(square, (v, g) => mul(g, v)),
    place: planted(square, (v, g) =>
      mul(swapAxes(swapAxes(g, 0, 1), 0, 1), take(mul(2, v), tensor([1, 0], { dtype: "int32" }))),
    ),
    small: planted(sin, (v, g) => mul(mul(g, cos(v)), 1.0001)),
    zero: planted(sin, (_, g) => mul(g, 0)),
    NaN: planted(sin, (_, g) => mul(g, Number.NaN)),
  };
  for (const [name, f] of Object.entries(wrong)) assert.throws(() => checkGradients(f, [x]), GradientError, name);
  for (const [name, f] of Object.entries(wrong))
    assert.throws(() => checkGradients(f, [x], { key: random.key(5) }), GradientError, name);
});

test("an error in the second derivative alone is found by order two", () => {
  // The pullback of sin is right, but made of an op whose own pullback is wrong.
  const wrongCos = planted(cos, (v, g) => mul(g, sin(v)));
  const f = planted(sin, (v, g) => mul(g, wrongCos(v)));
  checkGradients(f, [x]);
  assert.throws(() => checkGradients(f, [x], { order: 2 }), /order 2/);
});

test("the message has both numbers and how far apart they are", () => {
  assert.throws(
    () =>
      checkGradients(
        planted(square, (v, g) => mul(g, v)),
        [x],
      ),
    /^GradientError: checkGradients: expected ⟨g, J t⟩ = \S+ by differences, got ⟨pullback\(g\), t⟩ = \S+ \(order 1, \S+ of the largest term\)$/,
  );
});

test("checkLinear accepts linear functions and no others", () => {
  const a = tensor(
    [
      [1, 2],
      [3, 4],
    ],
    { dtype: "float64" },
  );
  checkLinear((v: Tensor) => matmul(a, v), tensor([1, 2]));
  checkLinear((p: { u: Tensor; v: Tensor }) => [add(p.u, p.v), neg(p.u)], { u: x, v: x });
  for (const f of [square, (v: Tensor) => add(v, 1), (v: Tensor) => neg(square(v))]) {
    assert.throws(() => checkLinear(f, x), GradientError);
  }
  checkLinear((v: Tensor) => mul(v, 2), tensor(new Float64Array(300_000)));
});
