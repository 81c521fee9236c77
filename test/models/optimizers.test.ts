import assert from "node:assert/strict";
import { test } from "node:test";
import { jit, random, type Tensor, tensor } from "@fmmformer/autodiff";
import {
  adam,
  adamw,
  applyUpdates,
  chain,
  clipByGlobalNorm,
  clipPerTensor,
  constant,
  cosine,
  type Optimizer,
  oneCycle,
  radam,
  type Schedule,
  sgd,
  stairs,
  warmUp,
} from "@fmmformer/models";

// Each optimizer against plain loops over numbers, as PyTorch's documentation writes them down.

const steps = 30;
const gradients = Array.from({ length: steps }, (_, t) =>
  [...random.normal(random.fold(random.key(0), t), [4], { dtype: "float64" }).data].map(
    (g) => g * (t % 3 === 0 ? 3 : 0.3),
  ),
);
const start = [1, -2, 0.5, 3];

/** One step over all numbers: what each becomes. t counts from 1. */
type Reference = (x: readonly number[], g: readonly number[], t: number) => number[];

/** Parameters after each step, (steps, 4): those of ours, split over two tensors, some jitted. */
function run(optimizer: Optimizer, jitted: boolean): number[][] {
  const tree = (values: readonly number[]) => ({
    w: tensor(Float64Array.from(values.slice(0, 3)), { shape: [3, 1] }),
    b: tensor(Float64Array.from(values.slice(3)), { shape: [] }),
  });
  type Tree = ReturnType<typeof tree>;
  const plain = (params: Tree, state: unknown, grads: Tree): [Tree, unknown] => {
    const [updates, next] = optimizer.update(grads, state, params);
    return [applyUpdates(params, updates), next];
  };
  const step = jitted ? jit(plain) : plain;
  let params = tree(start);
  let state = optimizer.init(params);
  return gradients.map((g) => {
    [params, state] = step(params, state, tree(g));
    return [...params.w.data, params.b.item()];
  });
}

function follows(optimizer: Optimizer, reference: Reference, tolerance = 1e-12): void {
  let x = [...start];
  const expected = gradients.map((g, i) => {
    x = reference(x, g, i + 1);
    return x;
  });
  for (const jitted of [false, true]) {
    run(optimizer, jitted).forEach((found, t) => {
      found.forEach((value, i) => {
        const off = Math.abs(value - expected[t][i]);
        assert.ok(off <= tolerance * Math.max(1, Math.abs(expected[t][i])), `step ${t + 1}: off by ${off}`);
      });
    });
  }
}

const lengthOf = (g: readonly number[]): number => Math.sqrt(g.reduce((total, value) => total + value * value, 0));

test("sgd, with momentum and without", () => {
  follows(sgd({ learningRate: 0.1 }), (x, g) => x.map((value, i) => value - 0.1 * g[i]));
  const u = [0, 0, 0, 0];
  follows(sgd({ learningRate: 0.1, momentum: 0.9 }), (x, g) =>
    x.map((value, i) => {
      u[i] = 0.9 * u[i] + g[i];
      return value - 0.1 * u[i];
    }),
  );
});

interface Numbers {
  readonly lr: number;
  readonly b1: number;
  readonly b2: number;
  readonly eps: number;
  readonly decay: number;
}

function adamReference(at: (t: number) => Numbers): Reference {
  const [m, n] = [
    [0, 0, 0, 0],
    [0, 0, 0, 0],
  ];
  return (x, g, t) => {
    const { lr, b1, b2, eps, decay } = at(t);
    return x.map((value, i) => {
      m[i] = b1 * m[i] + (1 - b1) * g[i];
      n[i] = b2 * n[i] + (1 - b2) * g[i] ** 2;
      const root = Math.sqrt(n[i]) / Math.sqrt(1 - b2 ** t) + eps;
      return value * (1 - lr * decay) - ((lr / (1 - b1 ** t)) * m[i]) / root;
    });
  };
}

test("adam and adamw, whose weight decay is decoupled", () => {
  const numbers = { lr: 0.05, b1: 0.9, b2: 0.999, eps: 1e-8, decay: 0 };
  follows(
    adam({ learningRate: 0.05 }),
    adamReference(() => numbers),
  );
  follows(
    adamw({ learningRate: 0.05 }),
    adamReference(() => ({ ...numbers, decay: 0.01 })),
  );
  follows(
    adamw({ learningRate: 0.05, beta1: 0.7, beta2: 0.98, eps: 1e-3, weightDecay: 0.3 }),
    adamReference(() => ({ lr: 0.05, b1: 0.7, b2: 0.98, eps: 1e-3, decay: 0.3 })),
  );
});

test("adam with a schedule for the learning rate and β₁, as one-cycle has them", () => {
  const [peak, total, rise] = [0.1, steps, 10];
  // PyTorch: phases end at pct_start · total − 1 and total − 1, and go in a line.
  const line = (from: number, to: number, part: number) => from + (to - from) * part;
  const phase = (i: number, ends: readonly number[]) =>
    i <= rise - 1 ? line(ends[0], ends[1], i / (rise - 1)) : line(ends[1], ends[2], (i - rise + 1) / (total - rise));
  const at = (t: number): Numbers => ({
    lr: phase(t - 1, [peak / 25, peak, peak / 25 / 1e4]),
    b1: phase(t - 1, [0.95, 0.85, 0.95]),
    b2: 0.999,
    eps: 1e-6,
    decay: 0,
  });
  follows(adamw({ ...oneCycle({ peak, steps: total, warmUp: rise }), eps: 1e-6, weightDecay: 0 }), adamReference(at));
});

/** With weights shrunk first, gradients clipped by tensor. */
test("radam, which is plain while the average of squares is short, with clipping by tensor", () => {
  const { lr, b1, b2, eps, decay } = { lr: 0.1, b1: 0.9, b2: 0.98, eps: 1e-8, decay: 0.01 };
  const m = [0, 0, 0, 0];
  const n = [0, 0, 0, 0];
  const long = 2 / (1 - b2) - 1;
  let plain = 0;
  const reference: Reference = (x, whole, t) => {
    const clip = (part: readonly number[]) => part.map((g) => g * Math.min(1, 1 / (lengthOf(part) + 1e-6)));
    const g = [...clip(whole.slice(0, 3)), ...clip(whole.slice(3))];
    const length = long - (2 * t * b2 ** t) / (1 - b2 ** t);
    return x.map((value, i) => {
      m[i] = b1 * m[i] + (1 - b1) * g[i];
      n[i] = b2 * n[i] + (1 - b2) * g[i] ** 2;
      const along = m[i] / (1 - b1 ** t);
      const shrunk = value * (1 - lr * decay);
      if (length <= 5) {
        plain++;
        return shrunk - lr * along;
      }
      const r = Math.sqrt(((length - 4) * (length - 2) * long) / ((long - 4) * (long - 2) * length));
      return shrunk - (lr * along * r * Math.sqrt(1 - b2 ** t)) / (Math.sqrt(n[i]) + eps);
    });
  };
  follows(chain(clipPerTensor(1), radam({ learningRate: lr, beta2: b2, weightDecay: decay })), reference, 1e-11);
  assert.ok(plain > 0 && plain < 4 * steps, `${plain} plain steps`);
});

test("radam's first steps are exact in float32 too, whatever β₂", () => {
  const x = tensor([1]);
  const optimizer: Optimizer = radam({ learningRate: 1, beta2: 0.999 });
  const update = jit((g: Tensor, state: unknown) => optimizer.update(g, state, x));
  let state: unknown = optimizer.init(x);
  for (let t = 1; t <= 12; t++) {
    const [u, next] = update(tensor([1]), state);
    state = next;
    const long = 1999;
    const length = long - (2 * t * 0.999 ** t) / (1 - 0.999 ** t);
    const r = Math.sqrt(((length - 4) * (length - 2) * long) / ((long - 4) * (long - 2) * length));
    assert.ok(Math.abs(u.item() + (length > 5 ? r : 1)) < 1e-5, `step ${t}: ${u.item()}`);
  }
});

test("clipping shrinks what is too long, together or each tensor by itself", () => {
  const grads = { a: tensor([3, 0]), b: tensor([0, 4]), c: tensor([0.1]) };
  const [together] = clipByGlobalNorm(1).update(grads, null, null);
  const norm = Math.hypot(3, 4, 0.1) + 1e-6;
  const close = (found: Tensor, expected: readonly number[]): void =>
    found.data.forEach((value: number, i: number) => {
      assert.ok(Math.abs(value - expected[i]) < 1e-6);
    });
  close(together.a, [3 / norm, 0]);
  close(together.b, [0, 4 / norm]);
  const [each] = clipPerTensor(1).update(grads, null, null);
  close(each.a, [1, 0]);
  close(each.b, [0, 1]);
  close(each.c, [0.1]);
  const [same] = clipByGlobalNorm(10).update(grads, null, null);
  assert.deepEqual(same.a.toArray(), [3, 0]);
  assert.throws(() => clipByGlobalNorm(0), /^RangeError: clipByGlobalNorm: expected a limit > 0, got 0/);
  const reference: Reference = (x, g) =>
    x.map((value, i) => value - 0.5 * g[i] * Math.min(1, 2 / (lengthOf(g) + 1e-6)));
  follows(chain(clipByGlobalNorm(2), sgd({ learningRate: 0.5 })), reference);
});

test("schedules give at each step what they say, traced or not", () => {
  const check = (schedule: Schedule, expected: (step: number) => number): void => {
    const traced = jit((step: number) => schedule(step));
    for (let step = 0; step < 40; step++) {
      for (const value of [schedule(step), traced(step)]) {
        const found = typeof value === "number" ? value : value.item();
        assert.ok(Math.abs(found - expected(step)) < 1e-12, `step ${step}: ${found}, not ${expected(step)}`);
      }
    }
  };
  check(constant(3), () => 3);
  check(cosine({ peak: 2, steps: 20, end: 1 }), (i) => 1 + 0.5 * (1 + Math.cos((Math.PI * Math.min(i, 20)) / 20)));
  check(warmUp(8, 2), (i) => 2 * Math.min(1, (i + 1) / 8));
  check(
    warmUp(4, cosine({ peak: 1, steps: 30 })),
    (i) => Math.min(1, (i + 1) / 4) * 0.5 * (1 + Math.cos((Math.PI * Math.min(i, 30)) / 30)),
  );
  check(stairs({ start: 1e-3, factor: 0.1, steps: [10, 25] }), (i) => (i < 10 ? 1e-3 : i < 25 ? 1e-4 : 1e-5));
});

test("a changing learning rate does not trace anew, and a state is as good after a copy of its numbers", () => {
  let traced = 0;
  const rule = (params: Tensor, state: unknown, g: Tensor, learningRate: number): [Tensor, unknown] => {
    traced++;
    const optimizer: Optimizer = adam({ learningRate });
    const [updates, next] = optimizer.update(g, state, params);
    return [applyUpdates(params, updates), next];
  };
  const step = jit(rule);
  let x = tensor([1, 2]);
  let state: unknown = adam({ learningRate: 0 }).init(x);
  const g = tensor([0.1, -0.2]);
  for (const rate of [0.1, 0.05, 0.01]) [x, state] = step(x, state, g, rate);
  assert.equal(traced, 1);
  const { step: count, mu, nu } = state as { step: Tensor; mu: Tensor; nu: Tensor };
  const copy = {
    step: tensor(count.data.slice(), { shape: [] }),
    mu: tensor(mu.data.slice()),
    nu: tensor(nu.data.slice()),
  };
  assert.deepEqual(step(x, copy, g, 0.2)[0].toArray(), step(x, state, g, 0.2)[0].toArray());
  assert.equal(traced, 1);
});
