import assert from "node:assert/strict";
import { test } from "node:test";
import {
  add,
  cast,
  div,
  exp,
  expandDims,
  grad,
  log,
  mul,
  ones,
  sin,
  sum,
  type Tensor,
  tensor,
  trace,
  vjp,
  zeros,
} from "@fmmformer/autodiff";
import { bandDot, bandLogSumExp, bandMatmul, bandSoftmax, bandTranspose, type Sides } from "@fmmformer/kernels";
import {
  agree,
  agreesWithOracle,
  commutesWithJit,
  commutesWithVmap,
  distinctSizes,
  hasGradient,
  isAdjoint,
  isPure,
  keys,
  masks,
  refusesOtherSizes,
  staysFinite,
  tensors,
} from "@fmmformer/kernels/laws";
import * as oracles from "@fmmformer/kernels/oracles";
import fc from "fast-check";

const runs = { numRuns: 30 };

/** Sides that differ, either of which may be 0 or reach beyond the sequence. */
const sides = fc
  .tuple(fc.integer({ min: 0, max: 6 }), fc.integer({ min: 0, max: 6 }))
  .filter(([left, right]) => left !== right)
  .map(([left, right]): Sides => ({ left, right }));

const slots = ({ left, right }: Sides): number => left + right + 1;

type Use<Args extends Tensor[]> = { readonly sides: Sides; readonly calls: readonly [Args, Args] };

/** A band op at two lists of arguments. */
function use<Args extends Tensor[]>(
  args: (sides: Sides, b: number, n: number, d: number) => { [I in keyof Args]: fc.Arbitrary<Args[I]> },
): fc.Arbitrary<Use<Args>> {
  return fc.tuple(sides, distinctSizes(["b", "n", "d"], { max: 6 })).chain(([sides, { b, n, d }]) => {
    const call = fc.tuple<Args>(...args(sides, b, n, d));
    return fc.tuple(call, call).map((calls) => ({ sides, calls }) as unknown as Use<Args>);
  });
}

const dots = use<[q: Tensor, k: Tensor]>((_, b, n, d) => [tensors([b, n, d]), tensors([b, n, d])]);
const products = use<[band: Tensor, v: Tensor]>((s, b, n, m) => [tensors([b, n, slots(s)]), tensors([b, n, m])]);
const transposes = use<[band: Tensor]>((s, b, n) => [tensors([b, n, slots(s)])]);

/** The laws of every band op, those of linear ops with one argument held fixed. */
function holds<Args extends Tensor[]>(
  name: string,
  uses: fc.Arbitrary<Use<Args>>,
  op: (...args: [...Args, Sides]) => Tensor,
  oracle: (...args: [...Args, Sides]) => Tensor,
): void {
  const each = (law: (f: (...args: Args) => Tensor, use: Use<Args>, key: Tensor) => void): void =>
    fc.assert(
      fc.property(uses, keys(), (use, key) => law((...args) => op(...args, use.sides), use, key)),
      runs,
    );

  test(`${name} and its pullback agree with dense matrices`, () =>
    each((f, { sides, calls: [args] }, key) =>
      agreesWithOracle(f, (...xs: Args) => oracle(...xs, sides), args, { key }),
    ));

  test(`${name} has the gradient that differences show, twice`, () =>
    each((f, { calls: [args] }, key) => hasGradient(f, args, { key })));

  test(`${name} is linear in each argument, its pullback the adjoint`, () =>
    each((f, { calls: [args] }, key) => {
      for (const [at, x] of args.entries()) isAdjoint((y: Tensor) => f(...(args.with(at, y) as Args)), x, { key });
    }));

  test(`${name} commutes with vmap, whichever arguments are mapped, and with jit`, () =>
    each((f, { calls }, key) => {
      commutesWithVmap(f, calls, { key });
      const [first] = calls;
      for (const fixed of first.length > 1 ? first.keys() : [])
        commutesWithVmap(f, calls, { key, in: first.map((_, i) => (i === fixed ? null : 0)) });
      commutesWithJit(f, first, { key });
    }));

  test(`${name} leaves its arguments as they are`, () => each((f, { calls: [args] }) => isPure(f, args)));
}

holds("bandDot", dots, bandDot, oracles.bandDot);
holds("bandMatmul", products, bandMatmul, oracles.bandMatmul);
holds("bandTranspose", transposes, bandTranspose, oracles.bandTranspose);

test("a band op refuses arguments of other sizes", () => {
  const q = zeros([2, 5, 3]);
  const band = zeros([2, 5, 4]);
  const s = { left: 1, right: 2 };
  refusesOtherSizes((x: Tensor, y: Tensor) => bandDot(x, y, s), [q, q], { name: "bandDot" });
  refusesOtherSizes((x: Tensor, y: Tensor) => bandMatmul(x, y, s), [band, q], { name: "bandMatmul", free: [[1, 2]] });
  refusesOtherSizes((x: Tensor) => bandTranspose(x, s), [band], {
    name: "bandTranspose",
    free: [
      [0, 0],
      [0, 1],
    ],
  });
  refusesOtherSizes((x: Tensor) => bandSoftmax(x, s), [band], {
    name: "bandSoftmax",
    free: [
      [0, 0],
      [0, 1],
    ],
  });
  assert.throws(() => bandDot(q, zeros([2, 6, 3]), s), {
    name: "ShapeError",
    message: "bandDot: expected k (2, n=5, d=3), got (2, 6, 3)",
  });
  assert.throws(() => bandMatmul(zeros([2, 5, 5]), q, s), {
    message: "bandMatmul: expected band (2, n=5, slots=4), got (2, 5, 5)",
  });
  assert.throws(() => bandDot(zeros([3]), q, s), { message: "bandDot: expected q (…, n, d), got (3,)" });
});

test("sides are whole numbers from 0", () => {
  const x = zeros([5, 3]);
  for (const [side, value] of [
    ["left", -1],
    ["right", 1.5],
    ["left", Number.NaN],
  ] as const) {
    const wrong = { left: 1, right: 1, [side]: value };
    const message = `expected an integer ${side} ≥ 0, got ${value}`;
    assert.throws(() => bandDot(x, x, wrong), { name: "RangeError", message: `bandDot: ${message}` });
    assert.throws(() => bandMatmul(x, x, wrong), { name: "RangeError", message: `bandMatmul: ${message}` });
    assert.throws(() => bandTranspose(x, wrong), { name: "RangeError", message: `bandTranspose: ${message}` });
    assert.throws(() => bandSoftmax(x, wrong), { name: "RangeError", message: `bandSoftmax: ${message}` });
  }
});

test("the three products are closed under differentiation", () => {
  const s = { left: 1, right: 2 };
  const [q, band] = [zeros([5, 3]), zeros([5, 4])];
  const primitives = (f: (...xs: Tensor[]) => Tensor, ...xs: Tensor[]): string[] => {
    const scalar = (...ys: Tensor[]): Tensor => sum(sin(f(...ys)));
    const { equations } = trace(grad(scalar, { argnums: xs.map((_, i) => i) }))(...xs);
    return [...new Set(equations.map(({ prim }) => prim.name).filter((name) => name.startsWith("band")))].sort();
  };
  assert.deepEqual(
    primitives((x, y) => bandDot(x, y, s), q, q),
    ["bandDot", "bandMatmul", "bandTranspose"],
  );
  assert.deepEqual(
    primitives((x, y) => bandMatmul(x, y, s), band, q),
    ["bandDot", "bandMatmul", "bandTranspose"],
  );
  assert.deepEqual(
    primitives((x) => bandTranspose(x, s), band),
    ["bandTranspose"],
  );
});

const softmaxes = fc.tuple(sides, distinctSizes(["b", "h", "n"], { max: 6 })).chain(([s, { b, h, n }]) =>
  fc.record({
    s: fc.constant(s),
    band: tensors([b, h, n, slots(s)]),
    other: tensors([b, h, n, slots(s)]),
    bias: tensors([h, slots(s)]),
    mask: fc.option(masks([b, n])),
  }),
);

test("bandSoftmax agrees with the softmax of a dense matrix, in its gradients too", () =>
  fc.assert(
    fc.property(softmaxes, keys(), ({ s, band, bias, mask }, key) => {
      const f = (x: Tensor, b: Tensor): Tensor => bandSoftmax(x, { ...s, mask, bias: b });
      const oracle = (x: Tensor, b: Tensor): Tensor => oracles.bandSoftmax(x, { ...s, mask, bias: b });
      agreesWithOracle(f, oracle, [band, bias], { key });
      hasGradient(f, [band, bias], { key });
      isPure(f, [band, bias]);
    }),
    runs,
  ));

test("bandSoftmax commutes with vmap and jit", () =>
  fc.assert(
    fc.property(softmaxes, keys(), ({ s, band, other, bias, mask }, key) => {
      const f = (x: Tensor, b: Tensor): Tensor => bandSoftmax(x, { ...s, mask, bias: b });
      commutesWithVmap(
        f,
        [
          [band, bias],
          [other, bias],
        ],
        { key, in: [0, null] },
      );
      commutesWithJit(f, [band, bias], { key });
    }),
    runs,
  ));

test("rows of bandSoftmax sum to 1, or are exactly 0 where no key counts", () =>
  fc.assert(
    fc.property(softmaxes, ({ s, band, bias, mask }) => {
      const totals = sum(bandSoftmax(band, { ...s, mask, bias }), { axis: -1 });
      for (const total of totals.data) assert.ok(total === 0 || Math.abs(total - 1) < 1e-14, `row sum ${total}`);
    }),
    runs,
  ));

test("bandLogSumExp is the logarithm of the normaliser: weights are e^(x − L)", () =>
  fc.assert(
    fc.property(softmaxes, keys(), ({ s, band, bias }, key) => {
      const [n] = band.shape.slice(-2);
      const inside = oracles.denseToBand(ones([n, n]), s);
      const terms = (x: Tensor, b: Tensor): Tensor => mul(inside, exp(add(x, expandDims(b, -2))));
      const f = (x: Tensor, b: Tensor): Tensor => bandLogSumExp(x, { ...s, bias: b });
      agreesWithOracle(f, (x: Tensor, b: Tensor) => log(sum(terms(x, b), { axis: -1 })), [band, bias], { key });
      const weights = div(terms(band, bias), expandDims(exp(f(band, bias)), -1));
      agree("weights", bandSoftmax(band, { ...s, bias }), weights, { tolerance: 1e-12 });
    }),
    runs,
  ));

test("a row without any key has weights and gradients of exactly 0, and −∞ for the logarithm of its normaliser", () => {
  const band = tensor(
    Float64Array.from({ length: 12 }, (_, i) => Math.sin(i)),
    { shape: [1, 1, 4, 3] },
  );
  const mask = tensor([[true, false, false, false]]);
  const options = { left: 1, right: 1, mask };
  const [weights, pullback] = vjp((x: Tensor) => bandSoftmax(x, options), band);
  assert.deepEqual([...weights.data.slice(6)], [0, 0, 0, 0, 0, 0]);
  const [dband] = pullback(band);
  assert.ok(dband.data.slice(6).every((g: number) => g === 0));
  const [lse, pull] = vjp((x: Tensor) => bandLogSumExp(x, options), band);
  assert.deepEqual([...lse.data.slice(2)], [-Infinity, -Infinity]);
  const [d] = pull(tensor([1, 2, 3, 4], { shape: [1, 1, 4], dtype: "float64" }));
  assert.deepEqual([...d.data], [0, 1, 0, 2, 0, 0, 0, 0, 0, 0, 0, 0]);
});

test("logits of ±10⁴ stay finite, in float32 too", () =>
  fc.assert(
    fc.property(softmaxes, keys(), ({ s, band, mask }, key) => {
      for (const dtype of ["float32", "float64"] as const)
        staysFinite((x: Tensor) => bandSoftmax(x, { ...s, mask }), [cast(mul(band, 5000), dtype)], { key });
    }),
    runs,
  ));
