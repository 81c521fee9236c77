import assert from "node:assert/strict";
import { test } from "node:test";
import {
  add,
  cast,
  checkGradients,
  grad,
  jit,
  jvp,
  matmul,
  mul,
  type Program,
  type ScanOptions,
  scan,
  sin,
  sum,
  type Tensor,
  take,
  tanh,
  tensor,
  trace,
  vmap,
  zeros,
} from "@fmmformer/autodiff";
import { agree } from "@fmmformer/kernels/laws";

const float64 = (...values: number[]): Tensor => tensor(Float64Array.from(values));
const xs = float64(1, 2, 3, 4, 5, 6, 7);

test("scan hands a carry from step to step and stacks the results", () => {
  const [last, sums] = scan(
    (c: Tensor, x: Tensor) => [add(c, x), mul(c, x)],
    float64(0, 10),
    tensor(
      [
        [1, 1],
        [2, 2],
      ],
      { dtype: "float64" },
    ),
  );
  assert.deepEqual(
    [last.toArray(), sums.toArray()],
    [
      [3, 13],
      [
        [0, 10],
        [2, 22],
      ],
    ],
  );
});

test("trees of carries, inputs and results, some of them integers", () => {
  const f = (
    c: { total: Tensor; step: Tensor },
    x: { a: Tensor; b: readonly [Tensor] },
  ): readonly [typeof c, { seen: Tensor; at: Tensor }] => [
    { total: add(c.total, mul(x.a, x.b[0])), step: add(c.step, 1) },
    { seen: mul(c.total, cast(c.step, "float64")), at: c.step },
  ];
  const init = { total: tensor(0, { dtype: "float64" }), step: tensor(0, { dtype: "int32" }) };
  const [last, ys] = scan(f, init, { a: float64(1, 2, 3), b: [float64(4, 5, 6)] as const });
  assert.deepEqual([last.total.item(), last.step.item(), last.step.dtype], [32, 3, "int32"]);
  assert.deepEqual(
    [ys.seen.toArray(), ys.at.toArray()],
    [
      [0, 4, 28],
      [0, 1, 2],
    ],
  );
  const loss = (a: Tensor): Tensor => sum(scan(f, init, { a, b: [float64(4, 5, 6)] as const })[1].seen);
  assert.deepEqual(grad(loss)(float64(1, 2, 3)).toArray(), [4 * 3, 5 * 2, 0]);
});

test("reverse runs from the last step to the first, results in place", () => {
  const [last, ys] = scan(
    (c: Tensor, x: Tensor) => [add(mul(c, 10), x), c],
    tensor(0, { dtype: "float64" }),
    float64(1, 2, 3),
    { reverse: true },
  );
  assert.deepEqual([last.item(), ys.toArray()], [321, [32, 3, 0]]);
});

test("without inputs a length tells how often; no step at all is the first carry", () => {
  assert.equal(scan((c: Tensor) => [mul(c, 2), null], tensor(1), null, { length: 10 })[0].item(), 1024);
  const [last, ys] = scan((c: Tensor, x: Tensor) => [add(c, x), c], tensor(5), zeros([0]));
  assert.deepEqual([last.item(), ys.shape], [5, [0]]);
  assert.deepEqual(
    grad((x: Tensor) => scan((c: Tensor) => [mul(c, 2), null], x, null, { length: 0 })[0])(tensor(3)).item(),
    1,
  );
});

test("a number as first carry takes the dtype that the steps give it", () => {
  const [last, ys] = scan((c: Tensor, x: Tensor) => [add(c, x), c], 0 as unknown as Tensor, tensor([1, 2]));
  assert.deepEqual([last.dtype, last.item(), ys.dtype], ["float32", 3, "float32"]);
});

test("values that the step closes over get their gradients", () => {
  const loss = (w: Tensor, init: Tensor): Tensor => {
    const [last, ys] = scan((c: Tensor, x: Tensor) => [tanh(add(mul(w, c), x)), mul(c, w)], init, xs);
    return add(last, sum(mul(ys, xs)));
  };
  const unrolled = (w: Tensor, init: Tensor): Tensor => {
    let [c, total] = [init, tensor(0, { dtype: "float64" })];
    for (let t = 0; t < 7; t++) {
      total = add(total, mul(mul(c, w), take(xs, t)));
      c = tanh(add(mul(w, c), take(xs, t)));
    }
    return add(c, total);
  };
  const [w, init] = [tensor(0.3, { dtype: "float64" }), tensor(-0.4, { dtype: "float64" })];
  const both = (f: typeof loss) => grad(f, { argnums: [0, 1] })(w, init);
  agree("grad", both(loss), both(unrolled), { tolerance: 1e-13 });
  agree("jit of grad", jit(both)(loss as never), both(unrolled), { tolerance: 1e-13 });
  checkGradients(loss, [w, init], { order: 3 });
  const along = [w, init].map(() => tensor(1, { dtype: "float64" })) as [Tensor, Tensor];
  agree("jvp", jvp(loss, [w, init], along), jvp(unrolled, [w, init], along), { tolerance: 1e-13 });
});

test("checkpoint changes what is kept, not what is computed", () => {
  const loss = (w: Tensor, options: object): Tensor => {
    const [last, ys] = scan(
      (c: Tensor, x: Tensor) => [sin(add(mul(w, c), x)), mul(c, c)],
      tensor(0.2, { dtype: "float64" }),
      xs,
      options,
    );
    return add(last, sum(mul(ys, xs)));
  };
  for (const reverse of [false, true]) {
    for (const checkpoint of [1, 2, 3, 6, 7, 8]) {
      const [w, plain, parts] = [tensor(0.7, { dtype: "float64" }), { reverse }, { reverse, checkpoint }];
      agree("value", loss(w, parts), loss(w, plain));
      agree("grad", grad((v: Tensor) => loss(v, parts))(w), grad((v: Tensor) => loss(v, plain))(w), {
        tolerance: 1e-13,
      });
      const second = (options: object): Tensor => grad((v: Tensor) => grad((u: Tensor) => loss(u, options))(v))(w);
      agree("second", second(parts), second(plain), { tolerance: 1e-12 });
      agree(
        "vmap",
        vmap((v: Tensor) => loss(v, parts))(float64(0.1, 0.2)),
        vmap((v: Tensor) => loss(v, plain))(float64(0.1, 0.2)),
        { tolerance: 1e-14 },
      );
    }
  }
});

/** The most steps of a carry of size 5 that any equation of a program keeps. */
function kept(program: Program): number {
  const shapes = program.equations.flatMap(({ outs }) => outs.map(({ shape }) => shape));
  return Math.max(
    0,
    ...shapes
      .filter((shape) => shape[shape.length - 1] === 5)
      .map((shape) => shape.slice(0, -1).reduce((a, b) => a * b, 1)),
  );
}

test("the backward pass keeps one carry a step, or one for every so many", () => {
  const w = zeros([5, 5]);
  const loss =
    (checkpoint: number) =>
    (x: Tensor): Tensor =>
      sum(scan((c: Tensor) => [tanh(matmul(c, w)), null], x, null, { length: 100, checkpoint })[0]);
  const program = (checkpoint: number): Program => trace(grad(loss(checkpoint)))(zeros([5]));
  assert.equal(kept(program(0)), 100);
  assert.equal(kept(program(10)), 10);
});

test("loops nest", () => {
  const f = (w: Tensor): Tensor =>
    scan(
      (outer: Tensor, x: Tensor) => [
        scan((inner: Tensor) => [add(mul(inner, w), x), null], outer, null, { length: 2 })[0],
        null,
      ],
      tensor(1, { dtype: "float64" }),
      float64(0.5, -0.5),
    )[0];
  checkGradients(f, [tensor(0.8, { dtype: "float64" })], { order: 3 });
  checkGradients((w: Tensor) => vmap(f)(w), [float64(0.8, 0.2)], { order: 2 });
});

test("scan refuses lengths and parts that are not numbers of steps", () => {
  const refuses = (options: ScanOptions, message: string): void =>
    assert.throws(() => scan((c: Tensor) => [c, null], tensor(0), null, { length: 10, ...options }), {
      name: "RangeError",
      message,
    });
  refuses({ length: -1 }, "scan: expected length to be a whole number ≥ 0, got -1");
  refuses({ length: 2.5 }, "scan: expected length to be a whole number ≥ 0, got 2.5");
  refuses({ checkpoint: 2.5 }, "scan: expected checkpoint to be a whole number ≥ 0, got 2.5");
  refuses({ checkpoint: -1 }, "scan: expected checkpoint to be a whole number ≥ 0, got -1");
});

test("scan refuses a step that changes the carry, each in one line", () => {
  const refuses = (f: unknown, init: unknown, name: string, message: string): void =>
    assert.throws(() => scan(f as never, init as never, zeros([3]) as never), { name, message });
  refuses((c: Tensor) => c, tensor(0), "TypeError", "scan: expected f to return [carry, y], got something else");
  refuses((c: Tensor) => [[c], c], tensor(0), "TypeError", "scan: expected f to keep the form * of the carry, got [*]");
  refuses(
    (c: Tensor) => [add(c, zeros([2])), c],
    tensor(0),
    "ShapeError",
    "scan: expected f to keep the carry's shape (), got (2,)",
  );
  refuses(
    (c: Tensor) => [cast(c, "int32"), c],
    tensor(0),
    "TypeError",
    "scan: expected f to keep the carry's dtype float32, got int32; cast it",
  );
  refuses(
    (c: Tensor) => [c.item() > 0 ? c : c, c],
    tensor(0),
    "AbstractValueError",
    "scan: expected ops on a traced value of shape (), got a read of its numbers; choose with where(…), loop with scan(…), or read it outside the traced function",
  );
});
