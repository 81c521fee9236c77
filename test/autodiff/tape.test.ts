import assert from "node:assert/strict";
import { test } from "node:test";
import {
  add,
  argmax,
  type Cotangent,
  cast,
  checkGradients,
  checkpoint,
  DTypeError,
  exp,
  grad,
  jit,
  jvp,
  LeakedTracerError,
  mul,
  neg,
  type Scalar,
  ShapeError,
  scan,
  sin,
  softmax,
  square,
  stopGradient,
  sub,
  sum,
  type Tensor,
  take,
  tanh,
  tensor,
  valueAndGrad,
  vjp,
  vmap,
} from "@fmmformer/autodiff";
import { apply, definePrimitive, type Primitive } from "@fmmformer/autodiff/extend";

const float64 = (...values: number[]): Tensor => tensor(Float64Array.from(values));

test("grad has the form, shapes and dtypes of the argument", () => {
  class Layer {
    readonly weight = tensor([1, 2]);
    readonly bias: Tensor | null = null;
    apply(x: Tensor): Tensor {
      return mul(this.weight, x);
    }
  }
  const params = {
    layers: [new Layer(), new Layer()] as const,
    scale: 2,
    name: "net",
    extra: undefined,
    x64: float64(1),
  };
  const loss = (p: typeof params, x: Tensor): Tensor =>
    sum(mul(add(p.layers[0].apply(x), p.layers[1].apply(square(x))), mul(p.scale, cast(p.x64, "float32"))));
  const g = grad(loss)(params, tensor([3, 4]));
  assert.deepEqual(g.layers[0].weight.toArray(), [6, 8]);
  assert.deepEqual(g.layers[1].weight.toArray(), [18, 32]);
  assert.equal(g.layers[0].bias, null);
  assert.ok(g.layers[0] instanceof Layer);
  assert.equal(g.scale.item(), 3 + 8 + 9 + 32);
  assert.equal(g.name, "net");
  assert.equal(g.x64.dtype, "float64");
  assert.deepEqual(Object.keys(g).sort(), Object.keys(params).sort());
});

test("eager gradients may branch on values and loop until they are reached", () => {
  const steep = (x: Scalar): Tensor => {
    let y = mul(x, x);
    while (y.item() < 100) y = mul(y, 2);
    return y.item() > 150 ? neg(y) : y;
  };
  assert.equal(grad(steep)(3).item(), 32 * 3);
  assert.equal(grad(steep)(9).item(), -4 * 9);
});

test("argnums picks one argument or several", () => {
  const f = (x: Tensor, y: Tensor, z: number): Tensor => sum(mul(mul(x, y), z));
  const [x, y] = [tensor([1, 2]), tensor([3, 4])];
  assert.deepEqual(grad(f, { argnums: 1 })(x, y, 2).toArray(), [2, 4]);
  const [dz, dx] = grad(f, { argnums: [2, 0] })(x, y, 2);
  assert.equal(dz.item(), 11);
  assert.deepEqual(dx.toArray(), [6, 8]);
  assert.deepEqual(grad(f, { argnums: [] })(x, y, 2), []);
});

test("hasAux passes on what else f returns", () => {
  const f = (x: Tensor): [Tensor, { doubled: Tensor; note: string; count: number }] => [
    sum(square(x)),
    { doubled: mul(x, 2), note: "kept", count: 3 },
  ];
  const [g, aux] = grad(f, { hasAux: true })(tensor([1, 2]));
  assert.deepEqual(g.toArray(), [2, 4]);
  assert.deepEqual(aux.doubled.toArray(), [2, 4]);
  assert.equal(aux.note, "kept");
  const [[value, again]] = valueAndGrad(f, { hasAux: true })(tensor([1, 2]));
  assert.equal(value.item(), 5);
  assert.deepEqual(add(again.doubled, 1).toArray(), [3, 5]);
});

test("an argument that has no effect gets zeros, one that is used twice the sum", () => {
  const f = (p: { used: Tensor; idle: Tensor }): Tensor => sum(mul(p.used, p.used));
  const g = grad(f)({ used: tensor([3]), idle: tensor([[1, 2]]) });
  assert.deepEqual(g.idle.toArray(), [[0, 0]]);
  const x = tensor([1, 2]);
  assert.deepEqual(grad((p: Tensor[]) => sum(mul(p[0], p[1])))([x, x])[0].toArray(), [1, 2]);
  assert.equal(grad((y: Tensor) => y)(tensor(3)).item(), 1);
  assert.equal(String(grad((_: Tensor) => 3)(tensor(3))), "0.0");
});

test("integers are constants outside argnums and an error inside", () => {
  const ids = tensor([1, 0], { dtype: "int32" });
  const f = (table: Tensor, i: Tensor): Tensor => sum(take(table, i));
  assert.deepEqual(grad(f)(tensor([1, 2, 3]), ids).toArray(), [1, 1, 0]);
  assert.throws(
    () => grad(f, { argnums: 1 })(tensor([1, 2, 3]), ids),
    new DTypeError(
      "grad: expected float arguments, got a tensor of shape (2,) and dtype int32; leave it out of argnums or cast it",
    ),
  );
  const [y, pull] = vjp(f, tensor([1, 2, 3]), ids);
  assert.equal(pull(tensor(1))[1], null);
  assert.equal(y.item(), 3);
});

test("a cotangent stops at integers, comparisons and stopGradient", () => {
  const f = (x: Tensor): Tensor => sum(add(mul(cast(cast(x, "int32"), "float32"), x), stopGradient(mul(x, x))));
  assert.deepEqual(grad(f)(tensor([2.5, -1.5])).toArray(), [2, -1]);
  const tree = stopGradient({ a: tensor([1]), b: [2, "name"] as const });
  assert.deepEqual([tree.a.toArray(), String(tree.b[0]), tree.b[1]], [[1], "2.0", "name"]);
});

test("vjp takes one cotangent for each result, null where there is none, and may be called again", () => {
  const x = float64(0.5, 2);
  const [[y, best, same], pull] = vjp((v: Tensor) => [exp(v), argmax(v), v] as const, x);
  assert.equal(best.item(), 1);
  assert.deepEqual(same.toArray(), [0.5, 2]);
  assert.deepEqual(pull([float64(1, 2), null as never, float64(3, 5)])[0].toArray(), [
    y.data[0] + 3,
    2 * y.data[1] + 5,
  ]);
  assert.deepEqual(pull([float64(1, 2), null, null] as never)[0].toArray(), [y.data[0], 2 * y.data[1]]);
  assert.deepEqual(pull(null as never)[0].toArray(), [0, 0]);
});

test("a pullback refuses a cotangent of another shape or form", () => {
  const [, pull] = vjp((v: Tensor) => ({ y: exp(v) }), tensor([1, 2]));
  assert.throws(
    () => pull({ y: tensor([1, 2, 3]) }),
    new ShapeError("pullback: expected a cotangent of shape (2,), got (3,)"),
  );
  assert.throws(
    () => pull([tensor([1, 2])] as never),
    new TypeError('pullback: expected a tree of the form {"y":*}, got [*]'),
  );
});

test("grad refuses what is not a float scalar, each in one line", () => {
  const x = tensor([1, 2]);
  const refuses = (f: () => unknown, message: string): void => assert.throws(f, { name: "TypeError", message });
  refuses(() => grad((v: Tensor) => v)(x), "grad: expected a scalar output, got (2,); sum it first");
  refuses(() => grad((v: Tensor) => argmax(v))(x), "grad: expected a float output, got int32; cast it first");
  refuses(() => grad((_: Tensor) => "text" as never)(x), 'grad: expected a scalar output, got "text"');
  refuses(() => grad((_: Tensor) => undefined as never)(x), "grad: expected a scalar output, got undefined");
  refuses(() => grad((v: Tensor) => [sum(v)] as never)(x), "grad: expected a scalar output, got an array");
  refuses(
    () => grad((async (v: Tensor) => sum(v)) as never)(x as never),
    "tree: expected values, got a promise; transformed functions must be synchronous",
  );
  assert.throws(() => grad((v: Tensor) => sum(v), { argnums: [0, 0] })(x), {
    name: "RangeError",
    message: "grad: expected distinct argnums, got 0, 0",
  });
  assert.throws(() => grad((v: Tensor) => sum(v), { argnums: 1 as never })(x), {
    name: "RangeError",
    message: "grad: expected argnums from 0 to 0 for 1 arguments, got 1",
  });
});

test("a primitive without a pullback says so, and is a constant inside stopGradient", () => {
  const halve: Primitive<null> = definePrimitive<null>({
    name: "halve",
    shape: ([x]) => x,
    value: (out, [x]) => out.set(x.data.map((v) => v / 2)),
    batch: (_, [x]) => apply(halve, [x], null),
  });
  const f = (x: Tensor): Tensor => sum(mul(x, apply(halve, [x], null)));
  assert.throws(() => grad(f)(tensor([2])), {
    name: "TypeError",
    message: "halve: has no vjp; wrap it in stopGradient to treat it as a constant",
  });
  const g = (x: Tensor): Tensor => sum(mul(x, stopGradient(apply(halve, [x], null))));
  assert.deepEqual(grad(g)(tensor([2])).toArray(), [1]);
});

test("third derivatives of tanh and softmax are what differences show", () => {
  const x = float64(0.3, -0.7, 1.1);
  checkGradients(tanh, [x], { order: 3 });
  checkGradients(softmax, [x], { order: 3 });
  const third = grad((a: Scalar) => grad((b: Scalar) => grad((c: Scalar) => tanh(c))(b as number))(a as number));
  const t = Math.tanh(0.4);
  assert.ok(Math.abs(third(0.4).item() - (1 - t * t) * (6 * t * t - 2)) < 1e-14);
});

test("the innermost derivative does not see the perturbations of the outer ones", () => {
  // Siskind and Pearlmutter (2005): d/dx x · (d/dy (x + y)) = 1, not 2.
  const one = grad((x: Scalar) => mul(x, grad((y: Scalar) => add(x, y))(1)));
  assert.equal(one(1).item(), 1);
  // d/dx x · (d/dy x y) = 2 x
  assert.equal(grad((x: Scalar) => mul(x, grad((y: Scalar) => mul(x, y))(2)))(3).item(), 6);
  // d/dx [ d/dy (x y²) at y = x ] = d/dx 2 x² = 4 x
  assert.equal(grad((x: number) => grad((y: Scalar) => mul(x, mul(y, y)))(x))(3).item(), 12);
  // The same with forward mode outside, and inside.
  const forward =
    (f: (x: Scalar) => Tensor) =>
    (x: Scalar): Tensor =>
      jvp(f, [x], [tensor(1, { dtype: "float64" })])[1];
  assert.equal(forward((x) => mul(x, forward((y) => add(x, y))(1)))(1).item(), 1);
  assert.equal(forward((x) => mul(x, grad((y: Scalar) => mul(x, y))(2)))(3).item(), 6);
  assert.equal(grad((x: Scalar) => mul(x, forward((y) => mul(x, y))(2)))(3).item(), 6);
});

// Transformations of a function of one number, applied inside one another: the inner function closes over the argument of the outer.
type Unary = (x: Tensor) => Tensor;
const over: Record<string, { readonly of: (f: Unary) => Unary; readonly differentiates: boolean }> = {
  grad: { of: (f) => grad(f), differentiates: true },
  jvp: { of: (f) => (x) => jvp(f, [x], [tensor(1, { dtype: "float64" })])[1], differentiates: true },
  vmap: { of: (f) => (x) => sum(vmap((row: Tensor) => f(row))(mul(x, float64(1)))), differentiates: false },
  jit: { of: (f) => jit(f), differentiates: false },
  checkpoint: { of: (f) => checkpoint(f), differentiates: false },
  scan: { of: (f) => (x) => scan((c: Tensor) => [f(x), c], x, null, { length: 2 })[0], differentiates: false },
};

for (const [outer, a] of Object.entries(over)) {
  test(`a function transformed inside ${outer} may close over values of it`, () => {
    for (const [inner, b] of Object.entries(over)) {
      // x ↦ inner(y ↦ sin(x y))(0.5)
      const f = a.of((x) => b.of((y) => sin(mul(x, y)))(tensor(0.5, { dtype: "float64" })));
      const [x, y] = [1.2, 0.5];
      const [s, c] = [Math.sin(x * y), Math.cos(x * y)];
      const value = b.differentiates ? x * c : s;
      const slope = b.differentiates ? c - x * y * s : y * c;
      const got = f(tensor(x, { dtype: "float64" })).item();
      const expected = a.differentiates ? slope : value;
      assert.ok(Math.abs(got - expected) < 1e-14, `${outer} of ${inner}: expected ${expected}, got ${got}`);
    }
  });
}

test("a tracer that outlives its transformation is reported, not used", () => {
  const message = (name: string) => ({
    name: "LeakedTracerError",
    message: `add: expected values of this call, got a tracer that outlived its ${name}; return it from the transformed function instead of storing it`,
  });
  const keep: Tensor[] = [];
  const store = <T extends Tensor>(x: T): Tensor => {
    keep.push(x);
    return sum(x);
  };
  grad(store)(tensor([1]));
  assert.throws(() => add(keep[0], 1), message("grad"));
  assert.throws(() => grad((x: Tensor) => sum(add(keep[0], x)))(tensor([1])), message("grad"));
  vmap(store)(tensor([[1], [2]]));
  assert.throws(() => add(keep[1], 1), message("vmap"));
  jit(store)(tensor([1]));
  assert.throws(() => add(keep[2], 1), message("jit"));
  assert.throws(() => jit((x: Tensor) => add(x, keep[2]))(tensor([1])), LeakedTracerError);
  checkpoint(store)(tensor([1]));
  assert.throws(() => add(keep[3], 1), message("checkpoint"));
});

test("an exception in a function leaves nothing behind", () => {
  const fail = (x: Tensor): Tensor => {
    mul(x, 2);
    throw new Error("mine");
  };
  const all = [
    grad(fail),
    vmap(fail),
    jit(fail),
    checkpoint(fail),
    (x: Tensor) => vjp(fail, x),
    (x: Tensor) => scan((_: Tensor, y: Tensor) => [fail(y), null], x, x),
  ];
  for (const f of all) assert.throws(() => f(tensor([1, 2])), { message: "mine" });
  const rescued = grad((x: Tensor) => {
    for (const f of all) assert.throws(() => f(x), { message: "mine" });
    return sum(mul(x, x));
  });
  assert.deepEqual(rescued(tensor([1, 2])).toArray(), [2, 4]);
  assert.deepEqual(vmap(grad((x: Tensor) => sub(mul(x, x), 1)))(tensor([1, 2])).toArray(), [2, 4]);
});

test("a gradient has the type of its argument", () => {
  interface Params {
    w: Tensor;
    b?: Tensor;
  }
  const g: Cotangent<Params> = grad((p: Params) => sum(p.b ? add(p.w, p.b) : p.w))({ w: tensor([1]) });
  assert.deepEqual(g.w.toArray(), [1]);
  assert.ok(!("b" in g));
});
