import assert from "node:assert/strict";
import { test } from "node:test";
import {
  add,
  broadcastTo,
  checkpoint,
  exp,
  flip,
  grad,
  jit,
  matmul,
  mul,
  plain,
  random,
  relu,
  scan,
  sub,
  sum,
  type Tensor,
  take,
  tanh,
  tensor,
  transpose,
  valueAndGrad,
} from "@fmmformer/autodiff";
import { adamUpdate } from "@fmmformer/kernels";
import { agree } from "@fmmformer/kernels/laws";
import { DonatedError, wasm } from "@fmmformer/kernels/wasm";

const engine = wasm();

function drawn(seed: number, ...shape: number[]): Tensor {
  return random.normal(random.key(seed), shape);
}

/** Needs a product of two (n, n) matrices and what is between. */
const heavy = (x: Tensor): Tensor => sum(tanh(matmul(x, transpose(matmul(x, x)))));

// ——— Threads ———

test("a number of threads that is none is refused", () => {
  for (const threads of [0, 1.5, -1, 65, NaN]) {
    assert.throws(() => wasm({ threads }), {
      name: "RangeError",
      message: `wasm: expected threads to be an integer from 1 to 64, got ${threads}`,
    });
  }
});

// ——— Many functions, one memory ———

test("functions and engines take turns", () => {
  const [x, constant] = [drawn(1, 30, 30), drawn(2, 30, 30)];
  const fs = [
    (y: Tensor) => sum(exp(y), { axis: 0 }),
    (y: Tensor) => add(matmul(y, constant), y),
    (y: Tensor) => mul(transpose(y), constant),
    (y: Tensor, z: Tensor = y) => sub(take(z, tensor([3, 1, 3], { dtype: "int32" })), 1),
  ];
  const engines = [wasm(), wasm(), wasm({ threads: 2 }), wasm({ threads: 3 })];
  const compiled = engines.map((engine) => fs.map((f) => jit(f, { engine })));
  for (let turn = 0; turn < 3; turn++) {
    const y = mul(x, turn + 1);
    for (const [i, f] of fs.entries()) for (const row of compiled) agree("jit", row[i](y), f(y), { tolerance: 1e-5 });
  }
});

test("a larger program moves the values of those before it", () => {
  const engine = wasm();
  const run = jit(heavy, { engine });
  const largest = new Map<number, number>();
  for (const n of [3, 40, 5, 160, 3, 40, 300, 3, 160]) {
    const found = run(mul(drawn(n, n, n), 0.1)).item();
    assert.equal(found, largest.get(n) ?? found);
    largest.set(n, found);
    agree("jit", tensor(found), heavy(mul(drawn(n, n, n), 0.1)), { tolerance: 1e-5 });
  }
});

test("a program that memory cannot hold says how much it wants, and harms no other", () => {
  const engine = wasm();
  const x = drawn(1, 100, 100);
  const square = jit(heavy, { engine });
  const before = square(x).item();
  const tooLarge = jit((y: Tensor) => heavy(add(broadcastTo(y, [33000, 33000]), 1)), { engine });
  assert.throws(() => tooLarge(tensor(1)), {
    name: "RangeError",
    message:
      /^wasm: expected at most 4294967296 bytes of memory, got a plan that needs \d{11}; checkpoint parts of the model, or use smaller batches$/,
  });
  const constant = drawn(2, 100, 50);
  const shifted = jit((y: Tensor) => add(y, constant), { engine });
  const wanted = add(constant, constant);
  agree("jit", shifted(constant), wanted);
  assert.equal(square(x).item(), before);
  agree("jit", shifted(constant), wanted);
});

test("an index out of range in one step leaves the next alone", () => {
  for (const engine of [wasm(), wasm({ threads: 3 })]) {
    const row = jit((x: Tensor, i: Tensor) => mul(take(x, i), 2), { engine });
    const at = (i: number): Tensor => tensor(Int32Array.of(i));
    for (let turn = 0; turn < 2; turn++) {
      assert.throws(() => row(tensor([1, 2]), at(2)), /^RangeError: take: expected indices from 0 to 1, got 2; /);
      assert.deepEqual(row(tensor([1, 2]), at(1)).toArray(), [4]);
    }
  }
});

// ——— Arguments that are given away ———

/** The same steps with and without donation: every step's results, read at once or never but at the end. */
function givenAway<S extends readonly Tensor[]>(
  f: (...state: S) => S,
  first: S,
  donate = first.map((_, place) => place),
): void {
  const [given, kept] = [jit(f, { engine, donate }), jit(f, { engine })];
  for (const read of [true, false]) {
    let [a, b] = [first, first];
    for (let step = 0; step < 5; step++) {
      [a, b] = [given(...a), kept(...b)];
      if (read) agree("donate", a, b);
    }
    agree("donate", a, b);
  }
}

test("state that is given away comes back as if it had not been", () => {
  const [a, b] = [drawn(1, 4, 5), drawn(2, 4, 5)];
  const pair: [Tensor, Tensor] = [a, b];
  givenAway((x: Tensor, y: Tensor) => [add(x, 1), mul(y, 2)] as [Tensor, Tensor], pair);
  givenAway((x: Tensor, y: Tensor) => [y, add(x, y)] as [Tensor, Tensor], pair);
  givenAway((x: Tensor, y: Tensor) => [y, x] as [Tensor, Tensor], pair);
  givenAway((x: Tensor, y: Tensor) => [x, mul(x, y)] as [Tensor, Tensor], pair);
  givenAway((x: Tensor, y: Tensor) => [mul(x, y), mul(x, y)] as [Tensor, Tensor], pair);
  givenAway((x: Tensor, y: Tensor) => [add(y, 1), mul(x, 2)] as [Tensor, Tensor], pair, [1]);
  const square = mul(drawn(3, 4, 4), 0.3);
  givenAway((x: Tensor) => [transpose(x)] as [Tensor], [square]);
  givenAway((x: Tensor) => [matmul(x, x)] as [Tensor], [square]);
});

test("a result is made in its place where the old value is read no more, or only there", () => {
  const [x, y] = [drawn(1, 3, 7), drawn(2, 3, 7)]; // 21 numbers: no whole vectors
  const ten = mul(x, 0.1);
  const twice: [Tensor, Tensor] = [x, mul(y, 0.1)];
  const copies = <S extends readonly Tensor[]>(f: (...state: S) => S, first: S): number => {
    givenAway(f, first);
    const run = jit(f, { engine, donate: first.map((_, place) => place) });
    run(...first);
    return run.stats()!.kinds.reduce((count, { kind, steps }) => count + (kind.includes("copy") ? steps : 0), 0);
  };
  assert.equal(
    copies((a, b) => [add(a, b), mul(sub(a, b), 0.5)] as [Tensor, Tensor], twice),
    0,
    "both read both, element by element",
  );
  assert.equal(
    copies((a, b) => [mul(a, 0.5), sub(b, mul(a, 0.1))] as [Tensor, Tensor], twice),
    0,
  );
  assert.equal(
    copies((a) => [tanh(matmul(a, matmul(transpose(a), a)))] as [Tensor], [ten]),
    0,
    "read by the product before",
  );
  assert.equal(
    copies((a, b) => [a, mul(b, 0.5)] as [Tensor, Tensor], twice),
    0,
    "stays what it is",
  );
  // Here something else of the old value is still wanted when the new one is written.
  for (const f of [
    (a: Tensor) => sub(a, flip(a, { axis: 1 })),
    (a: Tensor) => sub(a, mul(0.1, take(a, tensor([2, 0, 1], { dtype: "int32" })))),
    (a: Tensor) => sub(a, sum(a, { axis: 0, keepDims: true })),
    (a: Tensor) => mul(add(a, sum(tanh(add(a, 1)))), 0.01),
    (a: Tensor) => scan((c: Tensor) => [mul(add(c, a), 0.3), null], a, null, { length: 3 })[0],
  ]) {
    givenAway((a: Tensor) => [f(a)] as [Tensor], [x]);
  }
  givenAway((a: Tensor, b: Tensor) => [tanh(b), tanh(add(tanh(a), b))] as [Tensor, Tensor], twice);
  givenAway((a: Tensor, b: Tensor) => [tanh(a), tanh(a), b].slice(0, 2) as [Tensor, Tensor], twice);
});

test("Adam's step for all parameters is one step of a plan", () => {
  const step = (state: readonly Tensor[], gs: readonly Tensor[], t: number): readonly Tensor[] =>
    gs.flatMap((g, i) => {
      const [p, mu, nu] = state.slice(3 * i, 3 * i + 3);
      const [u, ...averages] = adamUpdate(g, mu, nu, { step: t });
      return [sub(p, mul(0.01, add(u, mul(0.1, p)))), ...averages];
    });
  const gs = [drawn(1, 5, 7), drawn(2, 3), drawn(3, 600, 8), drawn(4, 1)];
  const first = gs.flatMap((g, i) => [drawn(i, ...g.shape), mul(g, 0), mul(g, 0)]);
  for (const threads of [1, 3]) {
    const run = jit(step, { engine: wasm({ threads }), donate: [0] });
    let [found, wanted]: (readonly Tensor[])[] = [first, first];
    for (let t = 1; t <= 4; t++) {
      found = run(found, gs, t);
      wanted = step(wanted, gs, t);
    }
    agree("adam", found, wanted, { tolerance: 1e-5 });
    assert.ok(run.stats()!.steps <= 2, `${run.stats()!.kinds.map(({ kind }) => kind)}`);
  }
});

test("an argument without a result of its form, and one that is empty, are given away for nothing", () => {
  const f = (x: Tensor, y: Tensor, empty: Tensor): readonly Tensor[] => [add(x, sum(y)), add(empty, 1)];
  const given = jit(f, { engine, donate: [0, 1, 2] });
  const [x, y, empty] = [drawn(1, 3), drawn(2, 4), tensor([], { shape: [0, 2] })];
  const [z, none] = given(x, y, empty);
  const [next] = given(z, y, none);
  agree("donate", [next, none], [add(add(x, sum(y)), sum(y)), empty], { tolerance: 1e-6 });
});

test("state passes from call to call without a copy: what nobody has read is gone", () => {
  const step = jit((x: Tensor, rate: number) => mul(x, rate), { engine, donate: [0] });
  const first = step(tensor([1, 2]), 3);
  const second = step(first, 3);
  const third = step(second, 3);
  assert.deepEqual(third.toArray(), [27, 54]);
  for (const stale of [first, second]) {
    const failing = [() => stale.toArray(), () => step(stale, 3), () => add(stale, 1)];
    for (const read of failing) {
      assert.throws(read, (error) => {
        assert.ok(error instanceof DonatedError);
        assert.equal(
          error.message,
          "tensor: expected a value that was not given away, got one that jit took over (donate); read it before the next call",
        );
        return true;
      });
    }
  }
  assert.deepEqual(step(third, 2).toArray(), [54, 108], "calls that failed took nothing over");
});

test("a result that was read stays readable, and a start from elsewhere is as good as what is there", () => {
  const step = jit((x: Tensor) => mul(x, 2), { engine, donate: [0] });
  const first = step(tensor([1]));
  assert.deepEqual(first.toArray(), [2]);
  const second = step(first);
  assert.deepEqual(first.toArray(), [2]);
  assert.deepEqual(step(first).toArray(), [4], "its numbers are copied in again");
  assert.throws(() => second.toArray(), DonatedError);
  assert.deepEqual(step(tensor([10])).toArray(), [20]);
  assert.deepEqual(jit((x: Tensor) => add(x, 1), { engine })(step(tensor([3]))).toArray(), [7]);
});

test("results change places: each is read before anything is written", () => {
  const step = jit((x: Tensor, y: Tensor) => [add(x, 1), mul(y, 2)] as const, { engine, donate: [0, 1] });
  const [x, y] = step(tensor([1]), tensor([10]));
  const [u, v] = step(y, x);
  assert.deepEqual([u.item(), v.item()], [21, 4]);
  const [p, stale] = step(u, u);
  const [r] = step(p, tensor([5]));
  assert.throws(() => step(tensor([0]), stale), DonatedError);
  assert.equal(r.item(), 23, "a call that failed wrote nothing");
});

test("only arguments can be given away", () => {
  assert.throws(() => jit((x: Tensor) => x, { engine, donate: [1] })(tensor(1)), {
    name: "RangeError",
    message: "jit: expected donated arguments from 0 to 0, got 1",
  });
});

// ——— What it costs ———

test("a compiled function tells what it costs once it has run", () => {
  const f = (x: Tensor): Tensor => matmul(exp(x), x);
  for (const profile of [false, true]) {
    const run = jit(f, { engine: wasm({ threads: 2, profile }) });
    assert.equal(run.stats(), null);
    run(drawn(1, 20, 20));
    const { kinds, steps, flop, bytesMoved, peakBytes } = run.stats()!;
    assert.ok(peakBytes >= 3 * 1600 && peakBytes < 1e6, `${peakBytes}`);
    assert.equal(steps, 2);
    assert.equal(flop, 2 * 20 ** 3 + 400);
    assert.equal(bytesMoved, 5 * 1600);
    const total = (of: "steps" | "flop" | "bytesMoved"): number => kinds.reduce((n, kind) => n + kind[of], 0);
    assert.deepEqual([total("steps"), total("flop"), total("bytesMoved")], [steps, flop, bytesMoved]);
    for (const { ms } of kinds) assert.equal(ms === undefined ? -1 : Math.sign(ms), profile ? 1 : -1);
    run(drawn(1, 40, 40));
    assert.equal(run.stats()!.flop, 2 * 40 ** 3 + 1600, "of the last call");
  }
  const [ten, twenty] = [10, 20].map((length) => {
    const loop = jit((x: Tensor) => scan((c: Tensor) => [matmul(c, x), null], x, null, { length })[0], { engine });
    loop(drawn(1, 8, 8));
    return loop.stats()!.flop;
  });
  assert.equal(twenty - ten, 10 * 2 * 8 ** 3, "every round counts");
  const reference = jit(f, { engine: plain });
  reference(drawn(1, 3, 3));
  assert.equal(reference.stats(), null);
});

test("a checkpoint trades steps for memory", () => {
  const block = (x: Tensor, w: Tensor): Tensor => {
    let y = x;
    for (let i = 0; i < 4; i++) y = tanh(matmul(relu(matmul(y, w)), transpose(w)));
    return y;
  };
  const costs = [block, checkpoint(block)].map((f) => {
    const loss = (w: Tensor, x: Tensor): Tensor => {
      for (let i = 0; i < 4; i++) x = f(x, w);
      return sum(x);
    };
    const run = jit(grad(loss), { engine });
    return { g: run(mul(drawn(1, 32, 32), 0.3), drawn(2, 256, 32)), stats: run.stats()! };
  });
  agree("checkpoint", costs[1].g, costs[0].g, { tolerance: 1e-5 });
  assert.ok(costs[1].stats.flop > 1.2 * costs[0].stats.flop);
  assert.ok(costs[1].stats.peakBytes < 0.6 * costs[0].stats.peakBytes, `${costs.map((c) => c.stats.peakBytes)}`);
});

test("a step of training is worth the same on every engine", () => {
  const loss = (p: { w: Tensor; b: Tensor }, x: Tensor): Tensor => sum(mul(tanh(add(matmul(x, p.w), p.b)), 0.1));
  const step = (p: { w: Tensor; b: Tensor }, x: Tensor): [Tensor, typeof p] => {
    const [value, g] = valueAndGrad(loss)(p, x);
    return [value, { w: sub(p.w, mul(g.w, 0.1)), b: sub(p.b, mul(g.b, 0.1)) }];
  };
  const run = jit(step, { engine: wasm({ threads: 2 }), donate: [0] });
  const first = { w: drawn(1, 6, 7), b: drawn(2, 7) };
  let [p, q] = [first, first];
  for (let i = 0; i < 10; i++) {
    const x = drawn(i, 5, 6);
    const [value, next] = run(p, x);
    const [wanted, after] = step(q, x);
    agree("step", value, wanted, { tolerance: 1e-5 });
    [p, q] = [next, after];
  }
  agree("step", p, q, { tolerance: 1e-5 });
});
