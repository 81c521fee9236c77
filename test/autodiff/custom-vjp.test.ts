import assert from "node:assert/strict";
import { test } from "node:test";
import {
  add,
  checkGradients,
  checkLinear,
  cos,
  customVjp,
  exp,
  GradientError,
  grad,
  jit,
  jvp,
  matmul,
  maximum,
  mul,
  ShapeError,
  sin,
  square,
  sum,
  swapAxes,
  type Tensor,
  tensor,
  trace,
  vjp,
  vmap,
  where,
  zeros,
} from "@fmmformer/autodiff";
import { sumTo } from "@fmmformer/autodiff/extend";
import { agree, distinctSizes, tensors } from "@fmmformer/kernels/laws";
import fc from "fast-check";

const float64 = (...values: number[]): Tensor => tensor(Float64Array.from(values));

/** sin(x)·w, keeping an input, a result and a value of its own. */
const wave = customVjp({
  name: "wave",
  forward: (x: Tensor, w: Tensor, options: { readonly mode?: string }) => {
    const s = sin(x);
    const y = mul(s, w);
    return [y, { x, s, y, mode: options.mode }];
  },
  pullback: ({ x, s }, g: Tensor, needs) => [
    needs[0] ? mul(g, mul(cos(x), 2)) : null,
    needs[1] ? mul(g, s) : null,
    null,
  ],
});

test("the pullback is the one given, not the derivative of what was computed", () => {
  const x = float64(0.3, -0.7);
  const [dx, dw] = grad((v: Tensor, w: Tensor) => sum(wave(v, w, {})), { argnums: [0, 1] })(x, float64(1, 1));
  agree("dx", dx, mul(cos(x), 2));
  agree("dw", dw, sin(x));
});

test("the pullback is differentiated in its turn", () => {
  const x = float64(0.3, -0.7);
  const f = (v: Tensor): Tensor => sum(wave(v, float64(1, 3), {}));
  const second = grad((v: Tensor) => sum(grad(f)(v)))(x);
  agree("second", second, mul(sin(x), -2));
});

test("a residual that is no input is differentiated through what computed it", () => {
  const cube = customVjp({
    name: "cube",
    forward: (x: Tensor) => {
      const square = mul(x, x);
      return [mul(square, x), square];
    },
    pullback: (square, g: Tensor) => [mul(g, mul(square, 3))],
  });
  checkGradients(cube, [float64(0.5, -1.2)], { order: 3 });
  checkGradients(vmap(cube), [float64(0.5, -1.2)], { order: 3 });
  checkGradients(jit(cube), [float64(0.5, -1.2)], { order: 3 });
});

test("the op and its pullback are one equation each in a jitted gradient, also under vmap in both orders", () => {
  const loss = (x: Tensor, w: Tensor): Tensor => sum(wave(x, w, { mode: "fast" }));
  const calls = (f: (x: Tensor, w: Tensor) => unknown, ...shape: number[]): string[] =>
    String(trace(f)(zeros(shape), zeros(shape)))
      .split("\n")
      .flatMap((line) => line.match(/^ {2}[^ ].* = (wave.*})/)?.slice(1) ?? []);
  assert.deepEqual(calls(grad(loss), 3), ["wave {mode: fast}", "wave.pullback {mode: fast, needs: 10}"]);
  const mapped = (x: Tensor, w: Tensor): Tensor => sum(vmap(loss)(x, w));
  assert.deepEqual(calls(vmap(grad(loss)), 2, 3), [
    "wave {mode: fast, vmapped: 1}",
    "wave.pullback {mode: fast, needs: 10, vmapped: 1}",
  ]);
  assert.deepEqual(calls(grad(mapped), 2, 3), [
    "wave {mode: fast, vmapped: 1}",
    "wave.pullback {mode: fast, vmapped: 1, needs: 10}",
  ]);
});

/** Rows of x times a matrix, for any number of leading axes; the matrix may lack them. */
const project = customVjp({
  name: "project",
  leading: [2, 2],
  forward: (x: Tensor, w: Tensor) => [matmul(x, w), { x, w }],
  pullback: ({ x, w }, g: Tensor) => [
    sumTo(matmul(g, swapAxes(w, -1, -2)), x.shape),
    sumTo(matmul(swapAxes(x, -1, -2), g), w.shape),
  ],
});

test("an op with leading axes keeps its name and parameters under vmap, whichever inputs are mapped", () => {
  const sizes = distinctSizes(["a", "b", "n", "k", "m"]);
  fc.assert(
    fc.property(
      sizes.chain(({ a, b, n, k, m }) => fc.tuple(tensors([a, b, n, k]), tensors([a, k, m]), tensors([k, m]))),
      ([x, own, shared]) => {
        const f = (x: Tensor, w: Tensor): Tensor => project(x, w);
        const plain = (x: Tensor, w: Tensor): Tensor => matmul(x, w);
        for (const [w, axes] of [
          [own, [0, 0]],
          [shared, [0, null]],
        ] as const) {
          const [y, pull] = vjp(vmap(f, { in: axes }), x, w);
          const [expected, expectedPull] = vjp(vmap(plain, { in: axes }), x, w);
          agree("value", y, expected, { tolerance: 1e-13 });
          const g = sin(y);
          agree("pullback", pull(g), expectedPull(g), { tolerance: 1e-12 });
          const inside = vmap((g: Tensor, x: Tensor, w: Tensor) => vjp(f, x, w)[1](g), { in: [0, ...axes] });
          const plainInside = vmap((g: Tensor, x: Tensor, w: Tensor) => vjp(plain, x, w)[1](g), { in: [0, ...axes] });
          agree("pullback inside", inside(g, x, w), plainInside(g, x, w), { tolerance: 1e-12 });
          assert.match(String(trace(vmap(f, { in: axes }))(x, w)), / project [ab] /);
        }
      },
    ),
    { numRuns: 20 },
  );
});

test("trees, options and several results", () => {
  const op = customVjp({
    name: "op",
    forward: (p: { readonly w: Tensor; readonly scale: number }, xs: readonly Tensor[]) => {
      const [a, b] = xs;
      return [
        { product: mul(mul(a, b), p.scale), shifted: add(a, p.w) },
        { p, a, b },
      ];
    },
    pullback: ({ p, a, b }, { product, shifted }) => [
      { w: shifted, scale: null as never },
      [add(mul(mul(product, b), p.scale), shifted), mul(mul(product, a), p.scale)],
    ],
  });
  const f = (w: Tensor, a: Tensor, b: Tensor): unknown => op({ w, scale: 3 }, [a, b]);
  checkGradients(f, [float64(1, 2), float64(3, 4), float64(5, 6)], { order: 2 });
  checkGradients(vmap(f), [float64(1, 2), float64(3, 4), float64(5, 6)], { order: 2 });
  assert.match(String(trace(f)(zeros([2]), zeros([2]), zeros([2]))), /op {scale: 3} /);
});

test("needs tells which cotangents are wanted", () => {
  const seen: string[] = [];
  const op = customVjp({
    name: "op",
    forward: (x: Tensor, y: Tensor) => [mul(x, y), { x, y }],
    pullback: ({ x, y }, g: Tensor, needs) => {
      seen.push(needs.map(Number).join(""));
      return [mul(g, y), mul(g, x)];
    },
  });
  const [x, y] = [tensor([2]), tensor([3])];
  for (const argnums of [[0], [1], [0, 1]]) grad((a: Tensor, b: Tensor) => sum(op(a, b)), { argnums })(x, y);
  assert.deepEqual(seen, ["10", "01", "11"]);
});

test("a pullback that returns another shape, or form, is refused with the argument's number", () => {
  const op = (ct: unknown): ((x: Tensor, y: Tensor) => Tensor) =>
    customVjp({
      name: "op",
      forward: (x: Tensor, y: Tensor) => [add(x, y), null],
      pullback: (_, g: Tensor) => [g, ct as Tensor],
    });
  const run = (ct: unknown): unknown => grad((y: Tensor) => sum(op(ct)(tensor([1, 2]), y)))(tensor([3, 4]));
  assert.throws(
    () => run(zeros([3])),
    new ShapeError("op.pullback: expected a cotangent of shape (2,) for argument 1, got (3,)"),
  );
  assert.throws(() => run(0), new ShapeError("op.pullback: expected a cotangent of shape (2,) for argument 1, got ()"));
  assert.throws(() => run([zeros([2])]), new TypeError("op.pullback: expected a tree of the form *, got [*]"));
  assert.deepEqual(String(run(null)), "[0. 0.]");
});

test("values from outside are refused: they would have no cotangent", () => {
  const f = (w: Tensor): Tensor =>
    customVjp({ name: "op", forward: (x: Tensor) => [mul(x, w), x], pullback: (_, g: Tensor) => [g] })(tensor(2));
  assert.equal(f(tensor(3)).item(), 6);
  assert.throws(() => grad(f)(tensor(3)), {
    name: "TypeError",
    message: "op: expected all traced values among the arguments, got one from outside; pass it as an argument",
  });
});

test("checkLinear finds a pullback that is not linear in its cotangent", () => {
  const clipped = customVjp({
    name: "clipped",
    forward: (x: Tensor) => [square(x), x],
    pullback: (x, g: Tensor) => [mul(x, mul(2, where(maximum(g, 0), g, 0)))],
  });
  const [, pull] = vjp(clipped, float64(1, 2));
  assert.throws(() => checkLinear((g: Tensor) => pull(g), float64(1, 1)), GradientError);
  const [, straight] = vjp(square, float64(1, 2));
  checkLinear((g: Tensor) => straight(g), float64(1, 1));
});

test("a custom op has a pushforward: the transpose of its pullback", () => {
  const [y, dy] = jvp((x: Tensor) => wave(x, float64(1, 2), {}), [float64(0.5, 1)], [float64(1, 1)]);
  agree("value", y, mul(sin(float64(0.5, 1)), float64(1, 2)));
  agree("tangent", dy, mul(cos(float64(0.5, 1)), 2), { tolerance: 1e-15 });
});

test("both functions are staged: they cannot branch on values", () => {
  const op = customVjp({
    name: "op",
    forward: (x: Tensor) => [x.item() > 0 ? exp(x) : x, x],
    pullback: (_, g: Tensor) => [g],
  });
  assert.throws(() => op(tensor(1)), { name: "AbstractValueError" });
});
