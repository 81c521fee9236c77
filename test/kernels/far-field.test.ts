import assert from "node:assert/strict";
import { test } from "node:test";
import {
  add,
  concat,
  grad,
  mul,
  ones,
  random,
  ShapeError,
  slice,
  sum,
  type Tensor,
  tensor,
  trace,
  vjp,
  vmap,
  where,
  zeros,
} from "@fmmformer/autodiff";
import {
  bandDot,
  bandMatmul,
  type FarFieldOptions,
  type FeatureMap,
  farField,
  farFieldPresets,
  featureMaps,
  sidesOf,
} from "@fmmformer/kernels";
import {
  type Attention,
  agree,
  agreesWithOracle,
  commutesWithJit,
  commutesWithVmap,
  distinctSizes,
  growsLinearly,
  hasGradient,
  ignoresPadding,
  isLocal,
  isPermutationEquivariant,
  isPure,
  isZeroWhereMasked,
  keys,
  masks,
  paddedIsSeparate,
  refusesOtherSizes,
  rowsSumToOne,
  staysFinite,
  tensors,
} from "@fmmformer/kernels/laws";
import * as oracles from "@fmmformer/kernels/oracles";
import fc from "fast-check";

const { elu, eluFlip, tanh, softplus, sigmoid } = featureMaps;

/** A map of the user's own, whose width is twice d. */
const both: FeatureMap = { name: "both", apply: (x) => concat([softplus.apply(x), sigmoid.apply(x)], { axis: -1 }) };

type Sizes = Record<"b" | "h" | "n" | "d" | "m", number>;
type Args = [q: Tensor, k: Tensor, v: Tensor, state: Tensor, weights: Tensor];
type Norms = Pick<FarFieldOptions, "causal" | "featureNorm" | "normalizer" | "eps" | "scale" | "features">;

const sizes = distinctSizes(["b", "h", "n", "d", "m"], { max: 6 });

/** Numbers that stay clear of 0, where elu has a kink. */
function apart(shape: readonly number[]): fc.Arbitrary<Tensor> {
  return tensors(shape).map((x) =>
    tensor(
      Float64Array.from(x.data, (value) => value + (value < 0 ? -0.02 : 0.02)),
      { shape },
    ),
  );
}

function tokens({ b, h, n, d, m }: Sizes): fc.Arbitrary<[Tensor, Tensor, Tensor]> {
  return fc.tuple(apart([b, h, n, d]), apart([b, h, n, d]), tensors([b, h, n, m]));
}

/** Which far field, of one to three maps. A small ε would make root mean squares near 0 too steep for differences. */
const norms: fc.Arbitrary<Required<Norms>> = fc.record({
  causal: fc.boolean(),
  features: fc.constantFrom([elu], [both], [eluFlip, elu], [softplus, tanh, elu]),
  featureNorm: fc.constantFrom("none", "l1"),
  normalizer: fc.constantFrom("none", "sum", "rms"),
  eps: fc.constant(0.5),
  scale: fc.constantFrom(1, 0.25),
});

interface Use {
  readonly norms: Required<Norms>;
  readonly mask: Tensor | null;
  readonly combine: "sum" | "mean" | "weights";
  /** Arguments of two calls. */
  readonly calls: readonly [Args, Args];
}

/** Any far field at its arguments; states are those of earlier tokens, sums of positive features among them. */
const uses: fc.Arbitrary<Use> = fc.tuple(sizes, norms, fc.integer({ min: 1, max: 3 })).chain(([sizes, norms, axes]) => {
  const { b, h, n, d, m } = sizes;
  const r = norms.features.length;
  const f = norms.features[0] === both ? 2 * d : d;
  const state = tensors([b, h, r, f, m + 1], { low: 0.1 });
  const args = fc.tuple(tokens(sizes), state, tensors([r, h, m].slice(0, axes)));
  const call = args.map(([qkv, state, weights]): Args => [...qkv, state, weights]);
  return fc.record({
    norms: fc.constant(norms),
    mask: fc.option(masks([b, n])),
    combine: fc.constantFrom("sum", "mean", "weights"),
    calls: fc.tuple(call, call),
  });
});

type FarField = (...args: Args) => [o: Tensor, state: Tensor];

function optionsOf(
  { norms, mask, combine }: Use,
  state: Tensor,
  weights: Tensor,
): Omit<FarFieldOptions, "returnState"> {
  return { ...norms, mask, state, combine: combine === "weights" ? weights : combine };
}

function opOf(use: Use): FarField {
  return (q, k, v, state, weights) => farField(q, k, v, { ...optionsOf(use, state, weights), returnState: true });
}

function oracleOf(use: Use): FarField {
  return (q, k, v, state, weights) => {
    const given = optionsOf(use, state, weights);
    return [oracles.farField(q, k, v, given), oracles.farFieldState(k, v, given)];
  };
}

function attend(given: Omit<FarFieldOptions, "mask" | "returnState">): Attention {
  return (q, k, v, mask) => farField(q, k, v, { ...given, mask: mask ?? null });
}

test("the far field is its dense definition, and so are its gradients", () => {
  fc.assert(
    fc.property(uses, keys(), (use, key) => {
      agreesWithOracle(opOf(use), oracleOf(use), use.calls[0], { tolerance: 1e-11, key });
    }),
    { numRuns: 100 },
  );
});

test("beyond a band it is its dense definition without that band, and so are its gradients", () => {
  fc.assert(
    fc.property(uses, fc.integer({ min: 1, max: 8 }), keys(), ({ norms, mask, calls: [[q, k, v]] }, beyond, key) => {
      const given = { ...norms, mask, beyond };
      const op = (...args: [Tensor, Tensor, Tensor]): Tensor => farField(...args, given);
      const oracle = (...args: [Tensor, Tensor, Tensor]): Tensor => oracles.farField(...args, given);
      agreesWithOracle(op, oracle, [q, k, v], { tolerance: 1e-11, key });
    }),
    { numRuns: 100 },
  );
});

test("a band and what is beyond it are all tokens", () => {
  const [q, k, v] = [1, 2, 3].map((seed) => random.normal(random.key(seed), [1, 2, 7, 3], { dtype: "float64" }));
  const given = { features: [elu, tanh], normalizer: "none" } as const;
  for (const causal of [false, true]) {
    const all = farField(q, k, v, { ...given, causal });
    agree("0", farField(q, k, v, { ...given, causal, beyond: 0 }), all);
    const sides = sidesOf({ bandwidth: 3, causal });
    const band = given.features.map(({ apply }) => bandMatmul(bandDot(apply(q), apply(k), sides), v, sides));
    const both = add(farField(q, k, v, { ...given, causal, beyond: 3 }), add(band[0], band[1]));
    agree("3", both, all, { tolerance: 1e-12 });
    agree("7", farField(q, k, v, { ...given, causal, beyond: 7, normalizer: "sum" }), mul(v, 0));
  }
});

test("without a state it starts from zeros", () => {
  fc.assert(
    fc.property(uses, ({ norms, mask, calls: [[q, k, v, state]] }) => {
      const given = { ...norms, mask, returnState: true } as const;
      const zero = zeros(state.shape, { dtype: "float64" });
      agree("state", farField(q, k, v, given), farField(q, k, v, { ...given, state: zero }));
    }),
  );
});

test("its derivatives of order one and two are those that differences show", () => {
  fc.assert(
    fc.property(uses, keys(), (use, key) => hasGradient(opOf(use), use.calls[0], { order: 2, key, tolerance: 1e-4 })),
    { numRuns: 40 },
  );
});

/** A far field of the tokens from one position to another. */
function partOf(use: Use, from: number, to: number): FarField {
  const mask = use.mask && slice(use.mask, [0, from], [use.mask.shape[0], to]);
  const op = opOf({ ...use, mask });
  return (q, k, v, ...rest) => {
    const [a, b, c] = [q, k, v].map((x) => slice(x, [0, 0, from], [...x.shape.slice(0, 2), to]));
    return op(a, b, c, ...rest);
  };
}

test("causal, [0, i) and then [i, n) from its state give what [0, n) gives, and its gradients", () => {
  fc.assert(
    fc.property(uses, fc.nat(), keys(), (use, cut, key) => {
      const n = use.calls[0][0].shape[2];
      const i = cut % (n + 1);
      const causal = { ...use, norms: { ...use.norms, causal: true } };
      const inParts: FarField = (q, k, v, state, weights) => {
        const [o, between] = partOf(causal, 0, i)(q, k, v, state, weights);
        const [rest, last] = partOf(causal, i, n)(q, k, v, between, weights);
        return [concat([o, rest], { axis: 2 }), last];
      };
      agreesWithOracle(inParts, opOf(causal), use.calls[0], { tolerance: 1e-11, key });
    }),
  );
});

test("bidirectional, [i, n) from the state of [0, i) gives what it does in [0, n), and its gradients", () => {
  fc.assert(
    fc.property(uses, fc.nat(), keys(), (use, cut, key) => {
      const n = use.calls[0][0].shape[2];
      const i = cut % (n + 1);
      const full = { ...use, norms: { ...use.norms, causal: false } };
      const inParts: FarField = (q, k, v, state, weights) => {
        const [, before] = partOf(full, 0, i)(q, k, v, state, weights);
        return partOf(full, i, n)(q, k, v, before, weights);
      };
      const whole: FarField = (...args) => {
        const [o, last] = opOf(full)(...args);
        return [slice(o, [0, 0, i]), last];
      };
      agreesWithOracle(inParts, whole, use.calls[0], { tolerance: 1e-11, key });
    }),
  );
});

for (const causal of [false, true]) {
  const kind = causal ? "causal" : "bidirectional";

  test(`the ${kind} far field has derivatives of order three`, () => {
    fc.assert(
      fc.property(sizes.chain(tokens), keys(), (args, key) => {
        const op = attend({ features: [elu, tanh], causal, featureNorm: "l1" });
        hasGradient((q: Tensor, k: Tensor, v: Tensor) => op(q, k, v), args, { order: 3, key, tolerance: 1e-5 });
      }),
      { numRuns: 12 },
    );
  });

  test(`the weights of the normalised ${kind} far field sum to 1`, () => {
    fc.assert(
      fc.property(uses, ({ norms: { features, featureNorm }, mask, calls: [[q, k, v]] }) => {
        const op = attend({ features, featureNorm, causal, normalizer: "sum", eps: 0, combine: "mean" });
        rowsSumToOne(op, [q, k, v], mask ? { mask } : {});
      }),
    );
  });

  test(`what the mask of the ${kind} far field hides changes nothing`, () => {
    fc.assert(
      fc.property(
        uses,
        sizes.chain((s) => tokens({ ...s, b: 1 })),
        keys(),
        ({ norms, mask, calls: [[q, k, v]] }, x, key) => {
          const op = attend({ ...norms, causal });
          if (mask) ignoresPadding(op, [q, k, v], mask, { key });
          const short = x.map((t) => slice(t, [], [1, t.shape[1], 1])) as [Tensor, Tensor, Tensor];
          paddedIsSeparate(op, [x, short], { key, tolerance: 1e-11 });
        },
      ),
    );
  });

  test(`the ${kind} far field of no key is exactly 0, with gradient 0, also without ε`, () => {
    fc.assert(
      fc.property(uses, fc.constantFrom(0, 1e-6), ({ norms, calls: [[q, k, v]] }, eps) => {
        isZeroWhereMasked(attend({ ...norms, causal, eps }), [q, k, v]);
      }),
    );
  });
}

test("permuting the tokens of the bidirectional far field permutes its outputs", () => {
  fc.assert(
    fc.property(uses, keys(), ({ norms, calls: [[q, k, v]] }, key) => {
      isPermutationEquivariant(attend({ ...norms, causal: false }), [q, k, v], { key, tolerance: 1e-11 });
    }),
  );
});

test("the causal far field does not see the future, nor do its gradients", () => {
  fc.assert(
    fc.property(uses, keys(), ({ norms, calls: [[q, k, v]] }, key) => {
      isLocal(attend({ ...norms, causal: true }), [q, k, v], (i, j) => j <= i, { key });
    }),
    { numRuns: 40 },
  );
});

test("a masked token may hold NaN", () => {
  const mask = tensor([[true, false, true]]);
  const hidden = tensor([[false], [true], [false]]);
  for (const causal of [false, true]) {
    const given = { features: [elu, tanh], causal, featureNorm: "l1", mask } as const;
    const x = random.normal(random.key(1), [1, 2, 3, 4]);
    const f = (k: Tensor, v: Tensor): Tensor => farField(x, k, v, given);
    const [o, pull] = vjp(f, x, x);
    const [same, pullSame] = vjp(f, where(hidden, NaN, x), where(hidden, NaN, x));
    agree("NaN", [same, pullSame(x)], [o, pull(x)]);
  }
});

test("large inputs, one token and no mask at all stay finite in float32", () => {
  for (const causal of [false, true]) {
    for (const norm of [farFieldPresets.paper, farFieldPresets.lra, farFieldPresets.lm, farFieldPresets.copy]) {
      for (const features of [[elu], [eluFlip, elu], [tanh], [featureMaps.plainTanh]]) {
        const op = attend({ ...norm({ n: 4, d: 2 }), features, causal });
        const large = tensor([
          [
            [
              [1e4, -1e4],
              [-1e4, -1e4],
              [1e4, 1e4],
              [0, 1e4],
            ],
          ],
        ]);
        for (const x of [large, slice(large, [0, 0, 1], [1, 1, 2]), mul(large, 1e-44)]) {
          staysFinite((q: Tensor, k: Tensor, v: Tensor) => op(q, k, v), [x, x, x]);
        }
      }
    }
  }
});

test("vmap and jit leave the far field what it is, whichever arguments are mapped", () => {
  fc.assert(
    fc.property(uses, fc.nat({ max: 4 }), keys(), (use, one, key) => {
      const [first, second] = use.calls;
      const op = opOf(use);
      commutesWithVmap(op, [first, second], { key, tolerance: 1e-11 });
      for (const shared of [(i: number) => i === one, (i: number) => i !== one]) {
        const axes = first.map((_, i) => (shared(i) ? null : 0));
        commutesWithVmap(op, [first, second], { in: axes, key, tolerance: 1e-11 });
      }
      commutesWithJit(op, first, { key });
      isPure(op, first);
    }),
    { numRuns: 40 },
  );
});

test("in the program of its gradient it is one equation and its pullback another, also under vmap", () => {
  const x = ones([2, 3, 5, 4]);
  const given = { features: [elu, eluFlip], causal: true, mask: ones([2, 5]), eps: 0.01 };
  const loss = (q: Tensor, k: Tensor, v: Tensor): Tensor => sum(farField(q, k, v, given));
  const all = grad(loss, { argnums: [0, 1, 2] });
  const once = String(trace(all)(x, x, x));
  assert.ok(once.includes(" = farField {causal: true, divide: true, eps: 0.01} "), once);
  const mapped = String(trace(vmap(all))(ones([6, ...x.shape]), ones([6, ...x.shape]), ones([6, ...x.shape])));
  for (const text of [once, mapped]) {
    assert.equal(text.match(/ = farField /g)?.length, 1, text);
    assert.equal(text.match(/ = farField\.pullback /g)?.length, 1, text);
    assert.doesNotMatch(text, /matmul|causalProduct/);
  }
});

test("nothing in it grows with n²", () => {
  for (const causal of [false, true]) {
    for (const beyond of [0, 3]) {
      const field = (q: Tensor, k: Tensor, v: Tensor): Tensor => farField(q, k, v, { features: [elu], causal, beyond });
      const args = (n: number): [Tensor, Tensor, Tensor] => [
        ones([1, 1, n, 4]),
        ones([1, 1, n, 4]),
        ones([1, 1, n, 4]),
      ];
      growsLinearly(field, args);
    }
  }
});

test("what does not fit is refused, with the remedy", () => {
  const [q, v] = [ones([2, 3, 5, 4]), ones([2, 3, 5, 6])];
  const state = ones([2, 3, 1, 4, 7]);
  const op = (q: Tensor, k: Tensor, v: Tensor, mask: Tensor, state: Tensor, weights: Tensor): Tensor =>
    farField(q, k, v, { features: [elu], mask, state, combine: weights });
  refusesOtherSizes(op, [q, q, v, ones([2, 5]), state, ones([1, 3, 6])], { name: "farField" });

  const half: FeatureMap = { name: "half", apply: (x) => slice(x, [], [...x.shape.slice(0, -1), 2]) };
  const wrong: readonly (readonly [
    Partial<Omit<FarFieldOptions, "returnState">>,
    { name: string; message: string },
  ])[] = [
    [
      { features: [] },
      {
        name: "RangeError",
        message: "farField: expected at least one feature map, got none; pass features: [featureMaps.elu]",
      },
    ],
    [{ beyond: 1.5 }, { name: "RangeError", message: "farField: expected beyond to be an integer ≥ 0, got 1.5" }],
    [
      { beyond: 2, state },
      {
        name: "RangeError",
        message: "farField: expected beyond=0 where there is a state, got 2; give keys that have left the band",
      },
    ],
    [{ eps: -1 }, { name: "RangeError", message: "farField: expected eps ≥ 0, got -1" }],
    [
      { normalizer: "max" as never },
      { name: "RangeError", message: 'farField: expected normalizer "none" or "sum" or "rms", got "max"' },
    ],
    [
      { combine: "average" as never },
      { name: "RangeError", message: 'farField: expected combine "sum" or "mean", got "average"' },
    ],
    [{ mask: ones([2, 4]) }, { name: ShapeError.name, message: "farField: expected mask (2, n=5), got (2, 4)" }],
    [
      { combine: ones([3]) },
      { name: ShapeError.name, message: "farField: expected combine (r=1), (r=1, h=3) or (r=1, h=3, m=6), got (3,)" },
    ],
    [
      { features: [elu, half] },
      {
        name: ShapeError.name,
        message:
          "farField: expected features (2, 3, 5, f=4) from half, got (2, 3, 5, 2); one width for all, one row a token",
      },
    ],
    [
      { state: ones([2, 3, 2, 4, 7]) },
      { name: ShapeError.name, message: "farField: expected state (2, h=3, r=1, f=4, m+1=7), got (2, 3, 2, 4, 7)" },
    ],
  ];
  for (const [given, error] of wrong) assert.throws(() => farField(q, q, v, { features: [elu], ...given }), error);
});
