import assert from "node:assert/strict";
import { test } from "node:test";
import {
  abs,
  add,
  cast,
  checkpoint,
  concat,
  cumsum,
  div,
  exp,
  flip,
  grad,
  jit,
  jvp,
  matmul,
  max,
  maximum,
  mul,
  neg,
  type Program,
  pad,
  reshape,
  scan,
  sin,
  slice,
  sub,
  sum,
  type Tensor,
  tanh,
  tensor,
  trace,
  transpose,
  where,
  zeros,
} from "@fmmformer/autodiff";
import { apply, definePrimitive, type Primitive } from "@fmmformer/autodiff/extend";
import { agree, tensors } from "@fmmformer/kernels/laws";
import fc from "fast-check";

/** The names of the ops in a function's program. */
function ops(f: (...xs: Tensor[]) => unknown, ...xs: Tensor[]): string[] {
  return trace(f)(...xs).equations.map(({ prim }) => prim.name);
}

const x = tensor([
  [1, 2, 3],
  [4, 5, 6],
]);

test("what no result needs is removed", () => {
  assert.deepEqual(
    ops((a) => [exp(a), sin(mul(a, 3)), neg(a)][2], x),
    ["neg"],
  );
});

test("what is computed twice is computed once", () => {
  assert.deepEqual(
    ops((a) => add(exp(mul(a, 2)), exp(mul(a, 2))), x),
    ["mul", "exp", "add"],
  );
  assert.deepEqual(
    ops((a) => add(sum(a, { axis: 0 }), sum(a, { axis: [0] })), x),
    ["sum", "add"],
  );
  assert.deepEqual(
    ops((a) => [sum(a, { axis: 0 }), sum(a, { axis: 1 })], x),
    ["sum", "sum"],
  );
});

test("equations that differ only in what JSON cannot tell apart stay apart", () => {
  const infinities = (a: Tensor): Tensor[] =>
    [Infinity, -Infinity, NaN, 0, -0].map((value) =>
      pad(
        a,
        [
          [0, 0],
          [1, 0],
        ],
        { value },
      ),
    );
  const signs = (a: Tensor): Tensor[] => [0, -0].map((zero) => div(a, zero));
  for (const f of [infinities, signs]) agree("jit", jit(f)(x), f(x));
  const scaled: Primitive<{ readonly by: () => number }> = definePrimitive<{ readonly by: () => number }>({
    name: "scaled",
    shape: ([a]) => a,
    value: (out, [a], { by }) => out.set(a.data.map((v) => v * by())),
    batch: (_, [a], __, params) => apply(scaled, [a], params),
  });
  const both = (a: Tensor): Tensor[] => [() => 2, () => 3].map((by) => apply(scaled, [a], { by }));
  agree("functions as parameters", jit(both)(x), both(x));
  const namesake = definePrimitive<null>({
    name: "exp",
    shape: ([a]) => a,
    value: (out) => out.fill(7),
    batch: (_, [a]) => a,
  });
  const named = (a: Tensor): Tensor[] => [exp(a), apply(namesake, [a], null)];
  agree("two primitives of one name", jit(named)(x), named(x));
});

test("layout changes are joined, and vanish where they cancel", () => {
  assert.deepEqual(
    ops((a) => transpose(transpose(a)), x),
    [],
  );
  assert.deepEqual(
    ops((a) => reshape(reshape(a, [6]), [2, 3]), x),
    [],
  );
  assert.deepEqual(
    ops((a) => reshape(reshape(a, [6]), [3, 2]), x),
    ["reshape"],
  );
  const cube = zeros([2, 3, 4]);
  const f = (a: Tensor): Tensor => transpose(transpose(a, [1, 2, 0]), [0, 2, 1]);
  assert.deepEqual(ops(f, cube), ["transpose"]);
  assert.deepEqual(trace(f)(cube).outputs[0].shape, f(cube).shape);
  const numbered = reshape(tensor(Float64Array.from({ length: 24 }, (_, i) => i)), [2, 3, 4]);
  agree("joined", jit(f)(numbered), f(numbered));
});

test("exact identities vanish, others stay", () => {
  assert.deepEqual(
    ops((a) => [mul(a, 1), mul(1, a), div(a, 1), sub(a, 0), cast(a, "float32")], x),
    [],
  );
  assert.deepEqual(
    ops((a) => [add(a, 0), sub(a, -0), mul(a, 0), div(a, 2)], x),
    ["add", "sub", "mul", "div"],
  );
  assert.deepEqual(
    ops((a) => mul(a, tensor([[1], [1]])), x),
    ["mul"],
  );
  assert.deepEqual(
    ops((a) => mul(a, zeros([4, 1, 3])), x),
    ["mul"],
  );
  const minus = tensor([-0]);
  assert.ok(Object.is(jit((a: Tensor) => add(a, 0))(minus).data[0], 0));
  assert.ok(Object.is(jit((a: Tensor) => sub(a, 0))(minus).data[0], -0));
});

test("a checkpoint is computed again in the backward pass, also when compiled", () => {
  let computed = 0;
  const watched: Primitive<null> = definePrimitive<null>({
    name: "watched",
    shape: ([a]) => a,
    value: (out, [a]) => {
      computed++;
      out.set(a.data.map(Math.sin));
    },
    vjp: (g, [a]) => [() => mul(g, sin(add(a, Math.PI / 2)))],
    batch: (_, [a]) => apply(watched, [a], null),
  });
  const block = (a: Tensor): Tensor => tanh(apply(watched, [a], null));
  const count = (f: (a: Tensor) => Tensor): number => {
    computed = 0;
    f(x);
    return computed;
  };
  const kept = grad((a: Tensor) => sum(block(a)));
  const again = grad((a: Tensor) => sum(checkpoint(block)(a)));
  assert.deepEqual([count(kept), count(again)], [1, 2]);
  const compiled = jit(again);
  count(compiled);
  assert.equal(count(compiled), 2);
  agree("gradient", compiled(x), kept(x), { tolerance: 1e-6 });
  assert.deepEqual(ops(again, x).filter((name) => name === "call").length, 2);
});

test("the programs of loops and calls are optimized too", () => {
  const f = (w: Tensor): unknown => {
    const loop = (v: Tensor): Tensor => scan((c: Tensor) => [tanh(mul(c, v)), null], v, null, { length: 5 })[0];
    return jvp(loop, [w], [w])[1];
  };
  const program = trace(f)(tensor(0.5));
  for (const { params } of program.equations) {
    const { equations, outputs } = (params as { readonly program: Program }).program;
    const used = new Set<unknown>([...outputs, ...equations.flatMap(({ ins }) => ins)]);
    assert.ok(equations.every(({ outs }) => outs.some((v) => used.has(v))));
  }
  agree("jit", jit(f)(tensor(0.5)), f(tensor(0.5)));
});

test("compiling changes no bit of any result", () => {
  const steps: readonly ((a: Tensor, b: Tensor) => Tensor)[] = [
    (a, b) => add(a, b),
    (a, b) => mul(a, b),
    (a, b) => sub(mul(a, 1), b),
    (a) => tanh(a),
    (a) => transpose(transpose(a)),
    (a) => flip(flip(a), { axis: 0 }),
    (a, b) => where(b, a, 0),
    (a, b) => maximum(a, b),
    (a, b) => slice(concat([a, b]), [1], [3]),
    (a) => reshape(transpose(reshape(a, [3, 2])), [2, 3]),
    (a, b) => matmul(matmul(a, transpose(b)), abs(b)),
    (a) => cumsum(a, { axis: 0 }),
    (a) => sub(a, max(a, { axis: 1, keepDims: true })),
    (a) => add(a, tensor([[1], [2]])),
  ];
  const programs = fc.array(fc.record({ step: fc.nat(steps.length - 1), left: fc.nat(9), right: fc.nat(9) }), {
    minLength: 3,
    maxLength: 12,
  });
  fc.assert(
    fc.property(programs, tensors([2, 3]), tensors([2, 3]), (program, a, b) => {
      const f = (p: Tensor, q: Tensor): Tensor[] => {
        const values = [p, q];
        for (const { step, left, right } of program)
          values.push(steps[step](values[left % values.length], values[right % values.length]));
        return values.slice(-2);
      };
      agree("jit", jit(f)(a, b), f(a, b));
      const g = (p: Tensor, q: Tensor): unknown => grad((u: Tensor) => sum(f(u, q)[1]))(p);
      agree("jit of grad", jit(g)(a, b), g(a, b));
    }),
    { numRuns: 50 },
  );
});
