import assert from "node:assert/strict";
import { test } from "node:test";
import {
  add,
  broadcastTo,
  cast,
  checkpoint,
  concat,
  cos,
  type DType,
  exp,
  expandDims,
  flip,
  grad,
  jit,
  less,
  matmul,
  max,
  mean,
  mul,
  random,
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
import { agree, runsAlike } from "@fmmformer/kernels/laws";
import { explain, wasm } from "@fmmformer/kernels/wasm";

// How elementwise ops become chains, and scans loops, in the cases that need care.

const engines = [wasm(), wasm({ threads: 2 }), wasm({ threads: 3 }), wasm({ threads: 8 })];
const few = engines.slice(0, 2);
const [engine] = engines;

function drawn(seed: number, ...shape: number[]): Tensor {
  return random.normal(random.key(seed), shape);
}

type Op = (...xs: Tensor[]) => unknown;

function alike(f: Op, args: readonly Tensor[], given = few): void {
  runsAlike(f, [...args], given, { tolerance: 1e-5 });
}

/** The same for what has no gradient. */
function same(f: Op, args: readonly Tensor[]): void {
  for (const engine of few) agree("jit", jit(f, { engine })(...args), f(...args), { tolerance: 1e-6 });
}

function stepsOf(f: Op, ...args: readonly Tensor[]): number {
  return explain(trace(f)(...args)).split("\n").length - 1;
}

// ——— Chains ———

test("ops over the same elements are one step, and what reduces them", () => {
  const [x, y] = [drawn(1, 6, 7), drawn(2, 7)];
  assert.equal(
    stepsOf((a, b) => mul(exp(add(a, b)), sub(a, 1)), x, y),
    1,
  );
  assert.equal(
    stepsOf((a, b) => sum(mul(a, b), { axis: 1 }), x, y),
    1,
  );
  assert.equal(
    stepsOf((a) => transpose(exp(a)), x),
    1,
    "written in the order of the result",
  );
});

test("products of two operands are made where they are added up", () => {
  const f = (x: Tensor, y: Tensor): Tensor => {
    const s = sum(matmul(x, y), { axis: 1, keepDims: true });
    return add(mul(x, s), mul(matmul(y, x), sum(y, { axis: 1, keepDims: true })));
  };
  const args = [drawn(1, 9, 9), drawn(2, 9, 9)];
  const steps = explain(trace(f)(...(args as [Tensor, Tensor])));
  assert.match(steps, /^mul mul add \(chain\)/m);
  assert.doesNotMatch(steps, /^mul \(chain\)/m);
  alike(f as Op, args);
});

test("ops that share what they are made of, many deep", () => {
  const f = (x: Tensor, y: Tensor): readonly Tensor[] => {
    let [a, b] = [mul(x, 0.5), sub(x, 1)];
    for (let i = 0; i < 40; i++) [a, b] = [b, mul(add(a, b), 0.6)];
    return [matmul(a, y), add(b, matmul(y, x))];
  };
  alike(f as Op, [drawn(1, 5, 5), drawn(2, 5, 5)]);
});

test("what is made of values in another order lies as they do", () => {
  const f = (x: Tensor, w: Tensor): readonly Tensor[] => {
    const heads = exp(transpose(reshape(x, [6, 2, 4]), [1, 0, 2])); // (h, n, d)
    const scores = matmul(heads, w);
    return [scores, matmul(reshape(transpose(heads, [1, 0, 2]), [6, 8]), reshape(w, [8, 3]))];
  };
  const args = [drawn(1, 6, 8), drawn(2, 2, 4, 3)];
  assert.doesNotMatch(explain(trace(f)(...(args as [Tensor, Tensor]))), /copy/);
  alike(f as Op, args);
});

test("a chain longer than one step can be", () => {
  const long = (x: Tensor, y: Tensor): Tensor => {
    let z = x;
    for (let i = 0; i < 130; i++) z = i % 3 === 0 ? sin(z) : i % 3 === 1 ? add(z, y) : mul(z, cos(x));
    return z;
  };
  alike(long, [drawn(1, 9, 5), drawn(2, 5)]);
  const steps = stepsOf(long, drawn(1, 9, 5), drawn(2, 5));
  assert.ok(steps > 1 && steps < 10, `${steps} steps`);
});

test("values that several later chains use", () => {
  const f = (x: Tensor, y: Tensor): readonly Tensor[] => {
    const a = exp(mul(x, 0.3));
    const b = add(a, y);
    const rows = sum(b, { axis: 1, keepDims: true });
    const c = matmul(transpose(a), b);
    const d = sub(b, mul(rows, 0.1));
    const e = sum(mul(d, a), { axis: 0 });
    return [mul(add(c, e), tanh(c)), mul(d, add(a, rows)), tanh(b)];
  };
  alike(f, [drawn(1, 12, 12), drawn(2, 12)]);
});

test("reductions over every set of axes, in float and whole numbers", () => {
  const shape = [3, 4, 5, 6];
  const x = drawn(1, ...shape);
  const whole = cast(mul(x, 100), "int32");
  for (let set = 1; set < 16; set++) {
    const axis = shape.flatMap((_, a) => (set & (1 << a) ? [a] : []));
    alike((y) => [sum(y, { axis }), sum(exp(y), { axis }), mean(mul(y, y), { axis, keepDims: true })], [x]);
    alike((y) => [max(transpose(y), { axis }), max(sin(y), { axis })], [x]);
    same((y) => [sum(y, { axis }), max(add(y, y), { axis })], [whole]);
  }
});

test("reductions of one chain over different axes", () => {
  const f = (x: Tensor): readonly Tensor[] => {
    const y = exp(x);
    return [sum(y, { axis: 0 }), sum(y, { axis: 1 }), sum(y), max(y, { axis: [0, 1] }), sum(mul(y, x), { axis: 2 })];
  };
  alike(f, [drawn(1, 5, 6, 7)]);
});

test("dtypes mixed in one chain", () => {
  const dtypes: readonly DType[] = ["float32", "float64", "int32", "bool"];
  const x = mul(drawn(1, 5, 7), 3);
  for (const a of dtypes) {
    for (const b of dtypes) {
      const f: Op = (y, z) => [
        cast(cast(y, a), b),
        where(less(y, z), cast(y, a), cast(z, b)),
        sum(cast(add(cast(y, a), cast(z, "int32")), "float64"), { axis: 0 }),
        cast(sub(cast(cast(y, a), "int32"), cast(z, b)), "bool"),
      ];
      same(f, [x, drawn(2, 7)]);
    }
  }
});

test("broadcasting in every position", () => {
  const full = [3, 4, 5];
  const x = drawn(1, ...full);
  for (let set = 0; set < 8; set++) {
    const shape = full.map((n, axis) => (set & (1 << axis) ? 1 : n));
    alike((y, z) => mul(add(y, z), sin(z)), [x, drawn(2, ...shape)]);
    const axis = shape.findIndex((n) => n !== 1);
    if (axis > 0) alike((y, z) => mul(z, y), [x, drawn(3, ...shape.slice(axis))]);
  }
  alike((y, z) => mul(y, z), [drawn(1, 4, 1), drawn(2, 1, 5)]);
});

test("mirrored and thinned operands", () => {
  const f = (x: Tensor): readonly Tensor[] => {
    const thin = slice(x, [1, 0], [9, 12], { strides: [2, 3] }); // (4, 4)
    const block = slice(x, [2, 3], [6, 7]); // (4, 4)
    return [
      mul(exp(flip(thin, { axis: 0 })), flip(block, { axis: 1 })),
      sum(mul(flip(x, { axis: 1 }), x), { axis: 0 }),
      matmul(flip(thin), transpose(block)),
      flip(flip(sin(x), { axis: 0 }), { axis: 1 }),
    ];
  };
  alike(f, [drawn(1, 10, 12)]);
});

test("a value that is stored in another order than it is made", () => {
  const f = (x: Tensor, y: Tensor, w: Tensor): readonly Tensor[] => {
    const a = exp(add(x, y)); // (4, 6)
    const turned = transpose(a);
    const z = tanh(exp(w)); // (8, 3)
    // The order of `turned` has no strides for rows of 3: that copy must not come after the chain of `z`.
    return [matmul(turned, x), mul(reshape(a, [8, 3]), z), sum(mul(turned, 2), { axis: 1 })];
  };
  alike(f, [drawn(1, 4, 6), drawn(2, 4, 6), drawn(3, 8, 3)]);
});

test("shapes that cut the same elements differently", () => {
  const [x, y, z] = [drawn(1, 8, 3), drawn(2, 6, 4), drawn(3, 24)];
  alike((a) => reshape(a, [6, 4]), [x]);
  alike((a, b) => add(reshape(mul(a, 2), [6, 4]), b), [x, y]);
  alike((a, b, c) => sum(mul(reshape(exp(a), [24]), add(c, reshape(b, [24])))), [x, y, z]);
  alike((a, b) => add(reshape(mul(transpose(a), 2), [6, 4]), transpose(b)), [drawn(4, 3, 8), drawn(5, 4, 6)]);
  alike((a) => mul(transpose(reshape(exp(transpose(a)), [6, 4])), 2), [drawn(4, 3, 8)]);
  alike((a, b) => add(transpose(reshape(exp(transpose(a)), [6, 4])), transpose(b)), [x, y]);
  alike((a, b) => matmul(reshape(transpose(a), [4, 6]), add(b, reshape(transpose(mul(a, 3)), [6, 4]))), [x, y]);
});

test("arrays without elements, and scalars", () => {
  const empty = tensor([], { shape: [0, 3] });
  const f: Op = (x) => [
    exp(x),
    sum(x),
    sum(x, { axis: 0 }),
    transpose(mul(x, 2)),
    concat([x, zeros([2, 3]), x]),
    matmul(transpose(x), x),
    matmul(x, transpose(x)),
    reshape(x, [3, 0, 2]),
  ];
  same(f, [empty]);
  alike((x, y) => [mul(x, sin(y)), sum(x), reshape(y, [1, 1]), broadcastTo(mul(x, y), [2, 3])], [drawn(1), drawn(2)]);
  const numbers = jit((x: number, y: number) => mul(add(x, y), y), { engine });
  assert.equal(numbers(2, 3).item(), 15);
});

test("seven axes that do not join", () => {
  const x = drawn(1, 2, 3, 2, 3, 2, 3, 2);
  alike((y) => mul(transpose(y, [0, 6, 1, 5, 2, 4, 3]), 2), [x]);
  alike((y) => add(sum(transpose(y, [6, 5, 4, 3, 2, 1, 0]), { axis: [1, 3, 5] }), 1), [x]);
});

test("long sums are accurate, and the same bits for any number of threads", () => {
  const tenth = tensor(new Float32Array(1e7).fill(0.1));
  const found = engines.map((engine) => jit((x: Tensor) => sum(x), { engine })(tenth).item());
  for (const total of found) {
    assert.ok(Math.abs(total - 1e6) < 1, `${total}`);
    assert.equal(total, found[0]);
  }
});

test("reductions of many units: rows, columns, all, the middle", () => {
  const x = drawn(1, 4, 500, 70);
  const f: Op = (y) => [
    sum(y),
    sum(y, { axis: [0, 1] }),
    sum(y, { axis: [1, 2] }),
    sum(y, { axis: 1 }),
    sum(mul(y, y), { axis: 2 }),
    max(y),
    max(y, { axis: [0, 1] }),
  ];
  alike(f, [x], engines);
});

test("what lies transposed and is summed under another shape is copied before it is summed", () => {
  const f = (x: Tensor): Tensor[] => {
    const y = tanh(sin(x));
    return [exp(transpose(y)), sum(reshape(y, [8, 6]), { axis: 0 }), max(reshape(y, [4, 12]), { axis: 0 })];
  };
  same(f, [drawn(3, 6, 8)]);
});

// ——— Loops ———

const sums = (c: Tensor, x: Tensor): [Tensor, Tensor] => [add(c, x), mul(c, x)];

test("loops: backwards, with constants, over trees", () => {
  const f = (init: Tensor, xs: Tensor, w: Tensor): readonly unknown[] =>
    [false, true].map((reverse) =>
      scan(
        (c: { h: Tensor; n: Tensor }, x: Tensor) => {
          const h = tanh(add(matmul(c.h, w), x));
          return [
            { h, n: add(c.n, sum(h)) },
            { h, seen: mul(x, c.n) },
          ];
        },
        { h: init, n: sum(init) },
        xs,
        { reverse },
      ),
    );
  alike(f, [drawn(1, 2, 3), drawn(2, 7, 2, 3), drawn(3, 3, 3)], engines);
});

test("carries that change places, pass through or are one another", () => {
  const pair = [drawn(1, 4), drawn(2, 4)] as const;
  const bodies: ((c: [Tensor, Tensor]) => [Tensor, Tensor])[] = [
    ([a, b]) => [b, a],
    ([a, b]) => [b, add(a, b)],
    ([a, b]) => [a, mul(a, b)],
    ([a]) => [a, a],
    ([a, b]) => [flip(b), flip(a)],
  ];
  for (const body of bodies) {
    for (const length of [1, 2, 5]) {
      alike((a, b) => scan((c: [Tensor, Tensor]) => [body(c), c[0]], [a, b], null, { length }), pair);
    }
  }
});

test("whole numbers as carries", () => {
  const f: Op = (x) =>
    scan(
      ([i, total]: [Tensor, Tensor], y: Tensor): [[Tensor, Tensor], Tensor] => [[add(i, 1), add(total, mul(y, i))], i],
      [tensor(0, { dtype: "int32" }), zeros([3], { dtype: "int32" })],
      x,
    );
  same(f, [
    tensor(
      Int32Array.from({ length: 15 }, (_, i) => i),
      { shape: [5, 3] },
    ),
  ]);
});

test("loops of no steps and of one", () => {
  for (const n of [0, 1]) alike((c, xs) => scan(sums, c, xs), [drawn(1, 3), n === 0 ? zeros([0, 3]) : drawn(2, n, 3)]);
});

test("loops in loops, with values from outside both", () => {
  const f = (c: Tensor, xs: Tensor, w: Tensor): unknown =>
    scan(
      (carry: Tensor, rows: Tensor) => {
        const scaled = mul(exp(mul(w, 0.1)), carry);
        const [last, ys] = scan(
          (h: Tensor, x: Tensor) => {
            const [inner, all] = scan((g: Tensor, t: Tensor) => sums(tanh(g), add(t, h)), h, mul(rows, 0.5));
            return [tanh(add(mul(inner, w), x)), sum(all, { axis: 0 })];
          },
          scaled,
          rows,
          { reverse: true },
        );
        return [add(last, sum(w)), ys];
      },
      c,
      xs,
    );
  alike(f, [drawn(1, 3), drawn(2, 4, 2, 3), drawn(3, 3)], engines);
});

test("values of the loop that the program goes on with", () => {
  const f = (xs: Tensor): readonly Tensor[] => {
    const before = exp(xs);
    const [last, ys] = scan(
      (c: Tensor, x: Tensor) => [add(mul(c, 0.5), x), transpose(expandDims(c, 0))],
      zeros([3]),
      before,
    );
    const [again] = scan(sums, last, add(before, reshape(ys, [6, 3])));
    return [mul(before, last), again, sum(ys, { axis: [1, 2] })];
  };
  alike(f, [drawn(1, 6, 3)]);
});

test("checkpoints in a loop, and a loop that keeps few of its carries", () => {
  const [c, xs] = [drawn(1, 64), drawn(2, 200, 1)];
  const step = (h: Tensor, x: Tensor): [Tensor, Tensor] => {
    const y = tanh(add(mul(h, 0.9), x));
    return [y, sum(y)];
  };
  const inside = checkpoint(step);
  alike((h, x) => scan(inside, h, x), [c, xs]);
  const peaks = [0, 8].map((every) => {
    const loss = (h: Tensor, x: Tensor): Tensor => sum(scan(step, h, x, { checkpoint: every })[1]);
    alike(loss, [c, xs]);
    const run = jit(grad(loss), { engine });
    run(c, xs);
    return run.stats()!.peakBytes;
  });
  assert.ok(peaks[1] < 0.5 * peaks[0], `${peaks}`);
});

// ——— Sums of what lies in another order ———

test("sums over all but one axis, whichever lies between which", () => {
  const weights = drawn(9, 3, 1, 1);
  for (const [b, h, n, d] of [
    [2, 3, 5, 4],
    [2, 3, 40, 7],
    [3, 3, 90, 8],
    [1, 3, 700, 4],
    [5, 3, 2, 300],
    [600, 3, 1, 2],
  ]) {
    const [apart, between] = [drawn(1, b, h, n, d), drawn(2, b, n, h, d)];
    const seen = (x: Tensor): Tensor => transpose(x, [0, 2, 1, 3]);
    alike((x, y) => sum(mul(x, seen(y)), { axis: [0, 2, 3] }), [apart, between]);
    alike((x, y) => [sum(mul(tanh(x), y), { axis: [0, 1, 3] }), mul(tanh(x), y)], [between, between]);
    alike((x, y) => [mul(seen(x), weights), sum(mul(seen(x), seen(y)), { axis: [0, 2, 3] })], [between, between]);
    alike((x) => max(seen(x), { axis: [0, 2, 3] }), [between]);
    alike((x) => sum(seen(x), { axis: [0, 3] }), [between]);
    alike((x) => sum(seen(x), { axis: [0, 2] }), [between]);
    const whole = (x: Tensor): Tensor => cast(mul(seen(x), 50), "int32");
    same((x) => [sum(whole(x), { axis: [0, 2, 3] }), max(whole(x), { axis: [0, 2, 3] })], [between]);
    alike((x) => sum(seen(x), { axis: [0, 2, 3] }), [cast(between, "float64")]);
  }
});

test("what was written in another order is summed where it is made", () => {
  const f = (x: Tensor, y: Tensor): readonly Tensor[] => {
    const z = reshape(transpose(tanh(mul(x, y)), [0, 2, 1, 3]), [30, 12]);
    return [matmul(z, transpose(z)), sum(z, { axis: 0 })];
  };
  const args = [drawn(1, 5, 3, 6, 4), drawn(2, 5, 3, 6, 4)];
  alike(f, args);
  assert.equal(stepsOf(f, ...args), 2, "a chain and a product");
  // Of these the order of results, or what is summed, is not that of the chain.
  alike(
    (x) => {
      const z = transpose(tanh(x), [3, 2, 1, 0]);
      return [matmul(z, z), sum(z, { axis: 1 }), sum(reshape(z, [12, 36]), { axis: 0 })];
    },
    [drawn(1, 6, 6, 3, 4)],
  );
});
