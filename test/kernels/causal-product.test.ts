import assert from "node:assert/strict";
import { test } from "node:test";
import {
  add,
  cumsum,
  expandDims,
  flip,
  full,
  mul,
  ones,
  ShapeError,
  sum,
  type Tensor,
  trace,
  vjp,
} from "@fmmformer/autodiff";
import { causalNormalizer, causalProduct } from "@fmmformer/kernels";
import {
  agree,
  agreesWithOracle,
  commutesWithJit,
  commutesWithVmap,
  distinctSizes,
  hasGradient,
  isPure,
  keys,
  refusesOtherSizes,
  tensors,
} from "@fmmformer/kernels/laws";
import { causalProduct as dense } from "@fmmformer/kernels/oracles";
import fc from "fast-check";

type Args = [q: Tensor, k: Tensor, v: Tensor, state: Tensor];
type Product = (...args: Args) => [o: Tensor, state: Tensor];

const inputs = distinctSizes(["h", "n", "f", "m"], { max: 6 }).chain(({ h, n, f, m }) =>
  fc.tuple(tensors([h, n, f]), tensors([h, n, f]), tensors([h, n, m]), tensors([h, f, m])),
);

for (const reverse of [false, true]) {
  const op: Product = (q, k, v, state) => causalProduct(q, k, v, state, { reverse });
  const when = reverse ? " in reverse" : "";

  test(`the causal product is that of a triangle of scores${when}, and so are its gradients`, () => {
    fc.assert(
      fc.property(inputs, keys(), (args, key) =>
        agreesWithOracle(op, (q, k, v, state) => dense(q, k, v, state, { reverse }), args, { key }),
      ),
    );
  });

  test(`the causal product has derivatives of order three${when}`, () => {
    fc.assert(
      fc.property(inputs, keys(), (args, key) => hasGradient(op, args, { order: 3, key })),
      { numRuns: 20 },
    );
  });

  test(`vmap and jit leave the causal product what it is${when}`, () => {
    fc.assert(
      fc.property(inputs, fc.nat({ max: 3 }), (args, shared) => {
        const other = args.map((x) => mul(x, -0.5)) as Args;
        commutesWithVmap(op, [args, other]);
        commutesWithVmap(op, [args, other], { in: args.map((_, i) => (i === shared ? null : 0)) });
        commutesWithJit(op, args);
        isPure(op, args);
      }),
      { numRuns: 20 },
    );
  });
}

test("the reverse product is the product of the sequence read backwards", () => {
  fc.assert(
    fc.property(inputs, ([q, k, v, state]) => {
      const back = (x: Tensor): Tensor => flip(x, { axis: -2 });
      const [o, last] = causalProduct(back(q), back(k), back(v), state);
      agree("reverse", causalProduct(q, k, v, state, { reverse: true }), [back(o), last]);
    }),
  );
});

test("each gradient of a causal product is a causal product, and only those needed are computed", () => {
  const [q, v, state] = [ones([2, 5, 3]), ones([2, 5, 4]), ones([2, 3, 4])];
  const counts = [[0], [1], [2], [3], [0, 1, 2, 3]].map((needed) => {
    const program = trace((...args: Args) => {
      const [y, pull] = vjp(
        (...given: Tensor[]) => {
          const all = [...args];
          for (const [at, i] of needed.entries()) all[i] = given[at];
          return causalProduct(...(all as Args));
        },
        ...needed.map((i) => args[i]),
      );
      return pull(y);
    })(q, q, v, state);
    return String(program).match(/ = causalProduct/g)?.length;
  });
  assert.deepEqual(counts, [2, 2, 2, 2, 4]);
});

test("a long float32 sum keeps its digits", () => {
  const n = 20_000;
  const [, total] = causalProduct(ones([n, 1]), full([n, 1], 0.1), ones([n, 1]));
  assert.ok(Math.abs(total.item() - n * Math.fround(0.1)) < 1e-4);
});

test("the causal normaliser sums the scores of each row", () => {
  fc.assert(
    fc.property(inputs, ([q, k]) => {
      const rows = (scores: Tensor): Tensor => sum(scores, { axis: -1 });
      const [z, last] = causalNormalizer(q, k);
      agree("scores", z, rows(mul(q, cumsum(k, { axis: -2 }))), { tolerance: 1e-12 });
      agree("state", last, sum(k, { axis: -2 }), { tolerance: 1e-12 });
      hasGradient((x: Tensor, y: Tensor, state: Tensor) => causalNormalizer(x, y, state), [q, k, last]);
      const [after] = causalNormalizer(q, k, last);
      agree("scores after others", after, add(z, rows(mul(q, expandDims(last, -2)))), { tolerance: 1e-12 });
    }),
  );
});

test("sizes that do not fit are refused", () => {
  const args: Args = [ones([2, 5, 3]), ones([2, 5, 3]), ones([2, 5, 4]), ones([2, 3, 4])];
  refusesOtherSizes((...given: Args) => causalProduct(...given), args, { name: "causalProduct" });
  assert.throws(() => causalProduct(args[0], args[1], args[2], ones([2, 3, 5])), {
    name: ShapeError.name,
    message: "causalProduct: expected state (2, f=3, m=4), got (2, 3, 5)",
  });
  assert.throws(() => causalProduct(ones([3]), args[1], args[2]), {
    message: "causalProduct: expected q (…, n, f), got (3,)",
  });
});
