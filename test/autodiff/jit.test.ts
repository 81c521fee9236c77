import assert from "node:assert/strict";
import { test } from "node:test";
import {
  AbstractValueError,
  type AsyncEngine,
  add,
  broadcastTo,
  type Engine,
  grad,
  jit,
  mul,
  plain,
  sum,
  type Tensor,
  tensor,
  trace,
  vmap,
  where,
} from "@fmmformer/autodiff";

/** A function, and how often it has been traced. */
function counted<A extends readonly unknown[], Y>(
  f: (...args: A) => Y,
): { readonly f: (...args: A) => Y; times: number } {
  const counter = {
    times: 0,
    f: (...args: A): Y => {
      counter.times++;
      return f(...args);
    },
  };
  return counter;
}

test("numbers are inputs: a new value is not a new trace", () => {
  const step = counted((p: { w: Tensor }, rate: number, time: number) => mul(p.w, add(rate, time)));
  const run = jit(step.f);
  for (let t = 0; t < 5; t++) assert.deepEqual(run({ w: tensor([1, 2]) }, 0.5, t).toArray(), [0.5 + t, 1 + 2 * t]);
  assert.equal(step.times, 1);
});

test("a new shape, dtype or form is a new trace, and an old one is found again", () => {
  const f = counted((x: { a: Tensor; b?: Tensor }) => sum(x.b ? add(x.a, x.b) : x.a));
  const run = jit(f.f);
  const inputs: { a: Tensor; b?: Tensor }[] = [
    { a: tensor([1]) },
    { a: tensor([1, 2]) },
    { a: tensor([[1, 2]]) },
    { a: tensor([1], { dtype: "float64" }) },
    { a: tensor([1]), b: tensor([2]) },
    { a: broadcastTo(2, [2]) },
    { a: broadcastTo(2, [3]) },
  ];
  const results = (): string[] => inputs.map((x) => String(run(x)));
  const first = results();
  assert.deepEqual(
    first,
    inputs.map((x) => String(f.f(x))),
  );
  const traced = f.times;
  assert.equal(traced, 2 * inputs.length);
  assert.deepEqual(results(), first);
  assert.equal(f.times, traced);
});

test("strings, booleans, null and functions are options: another one is another trace", () => {
  const f = counted((x: Tensor, mode: string | boolean | null, g: (y: Tensor) => Tensor) =>
    mode ? g(mul(x, 2)) : g(x),
  );
  const run = jit(f.f);
  const twice = (y: Tensor): Tensor => mul(y, 2);
  const once = (y: Tensor): Tensor => y;
  const at = (mode: string | boolean | null, g: (y: Tensor) => Tensor): number => run(tensor(1), mode, g).item();
  assert.deepEqual(
    [at("true", once), at(true, once), at(false, once), at(null, once), at(null, twice)],
    [2, 2, 1, 1, 2],
  );
  assert.equal(f.times, 5);
  assert.equal(at(null, twice), 2);
  assert.equal(f.times, 5);
});

test("symbols are told apart, also two of one description", () => {
  const [first, second] = [Symbol("mode"), Symbol("mode")];
  const f = counted((x: Tensor, mode: symbol) => mul(x, mode === first ? 1 : mode === second ? 2 : 3));
  const run = jit(f.f);
  for (let i = 0; i < 2; i++) {
    const results = [first, second, Symbol.for("mode")].map((mode) => run(tensor(1), mode).item());
    assert.deepEqual(results, [1, 2, 3]);
  }
  assert.equal(f.times, 3);
});

test("instances of two classes with the same fields are two forms", () => {
  class Doubling {
    readonly w = tensor(1);
    apply(): Tensor {
      return mul(this.w, 2);
    }
  }
  class Tripling extends Doubling {
    override apply(): Tensor {
      return mul(this.w, 3);
    }
  }
  const run = jit((layer: Doubling) => layer.apply());
  assert.deepEqual([run(new Doubling()).item(), run(new Tripling()).item()], [2, 3]);
});

test("results keep their form, whatever of it is not a tensor", () => {
  const run = jit((x: Tensor) => ({ y: [mul(x, 2), 3] as const, note: "same", none: null, x }));
  const x = tensor([1, 2]);
  for (let i = 0; i < 2; i++) {
    const { y, note, none, x: same } = run(x);
    assert.deepEqual([y[0].toArray(), String(y[1]), note, none, same.toArray()], [[2, 4], "3.0", "same", null, [1, 2]]);
  }
});

test("tensors that f closes over are constants; values of an outer transformation are not", () => {
  let w = tensor(2);
  const run = jit((x: Tensor) => mul(x, w));
  assert.equal(run(tensor(1)).item(), 2);
  w = tensor(3);
  assert.equal(run(tensor(1)).item(), 2, "as it was when f was traced");
  const outer = counted((w: Tensor) => jit((x: Tensor) => mul(mul(x, w), w))(tensor(5)));
  assert.equal(grad(outer.f)(tensor(3)).item(), 30);
  assert.deepEqual(vmap(outer.f)(tensor([1, 2])).toArray(), [5, 20]);
  assert.equal(jit(outer.f)(tensor(3)).item(), 45);
});

test("a jitted function inside a transformation is part of it", () => {
  const refuses: Engine = {
    name: "refuses",
    compile: () => {
      throw new Error("compiled");
    },
  };
  const f = jit((x: Tensor) => sum(mul(x, x)), { engine: refuses });
  assert.deepEqual(grad(f)(tensor([1, 2])).toArray(), [2, 4]);
  assert.deepEqual(
    vmap(f)(
      tensor([
        [1, 2],
        [3, 4],
      ]),
    ).toArray(),
    [5, 25],
  );
  assert.match(String(trace(f)(tensor([1, 2]))), /mul a a\n/);
  assert.throws(() => f(tensor([1])), { message: "compiled" });
});

test("an asynchronous engine gives a function of promises", async () => {
  const later: AsyncEngine = {
    name: "later",
    compile: (program) => {
      const run = plain.compile(program);
      return async (inputs) => run(inputs);
    },
    read: async (tree) => tree,
  };
  const f = jit((x: Tensor, scale: number) => ({ y: mul(x, scale) }), { engine: later });
  const promise = f(tensor([1, 2]), 3);
  assert.ok(promise instanceof Promise);
  assert.deepEqual((await promise).y.toArray(), [3, 6]);
});

test("an engine compiles once for each trace, from an optimized program", () => {
  const programs: string[] = [];
  const watching: Engine = {
    name: "watching",
    compile: (program) => {
      programs.push(String(program));
      return plain.compile(program);
    },
  };
  const f = jit(
    (x: Tensor) => {
      mul(x, 5);
      return add(mul(x, 2), mul(x, 2));
    },
    { engine: watching },
  );
  f(tensor([1]));
  f(tensor([2]));
  assert.deepEqual(programs, [
    "program(a: float32[1])\n  b: float32[1] = mul a 2\n  c: float32[1] = add b b\n  return c",
  ]);
});

test("a traced value has no numbers to branch on, and side effects happen at tracing", () => {
  const branch = jit((x: Tensor) => (x.item() > 0 ? x : mul(x, -1)));
  assert.throws(() => branch(tensor(1)), {
    name: "AbstractValueError",
    message:
      "jit: expected ops on a traced value of shape (), got a read of its numbers; choose with where(…), loop with scan(…), or read it outside the traced function",
  });
  assert.throws(() => jit((x: Tensor) => mul(x, x.data[0]))(tensor([1])), AbstractValueError);
  assert.equal(jit((x: Tensor) => where(x, x, 5))(tensor(0)).item(), 5);
  const printed: string[] = [];
  const f = jit((x: Tensor) => {
    printed.push(String(x));
    return x;
  });
  f(tensor([1, 2]));
  f(tensor([3, 4]));
  assert.deepEqual(printed, ["Tracer((2,), float32)"]);
});

test("a function that returns a promise is refused", () => {
  const message = "tree: expected values, got a promise; transformed functions must be synchronous";
  const later = async (x: Tensor): Promise<Tensor> => x;
  for (const f of [jit(later), vmap(later), trace(later)])
    assert.throws(() => f(tensor([1])), { name: "TypeError", message });
});

test("a trace that fails is not remembered", () => {
  let fail = true;
  const f = jit((x: Tensor) => {
    if (fail) throw new Error("not yet");
    return mul(x, 2);
  });
  assert.throws(() => f(tensor(1)), { message: "not yet" });
  fail = false;
  assert.equal(f(tensor(1)).item(), 2);
});
