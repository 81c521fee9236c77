import { test } from "node:test";
import { add, iota, jit, less, mod, mul, random, stack, type Tensor, vjp, vmap } from "@fmmformer/autodiff";
import {
  adamUpdate,
  farField,
  fastWeight,
  featureMaps,
  fullAttention,
  gelu,
  layerNorm,
  nearField,
  softmaxCrossEntropy,
} from "@fmmformer/kernels";
import { agree, randomLike, runsAlike } from "@fmmformer/kernels/laws";
import { wasm } from "@fmmformer/kernels/wasm";

// Law 8 under vmap: whichever arguments are mapped, the kernels compute what the decomposition says, and so do gradients of each call.

const engine = wasm();

type Op = (...xs: Tensor[]) => unknown;

const normal = (seed: number, ...shape: number[]): Tensor => random.normal(random.key(seed), shape);
const positive = (seed: number, ...shape: number[]): Tensor => random.uniform(random.key(seed), shape, { low: 0.1 });
const kept = (seed: number, ...shape: number[]): Tensor => less(random.uniform(random.key(seed), shape), 0.7);
const labels = (seed: number, n: number): Tensor => mod(add(iota(n), seed), 3);

/** Ops on one example, and their arguments by a seed. */
const ops: { readonly [name: string]: readonly [Op, (seed: number) => Tensor[]] } = {
  layerNorm: [
    (x, gain, bias) => layerNorm(x, gain, bias),
    (s) => [normal(s, 5, 7), normal(s + 1, 7), normal(s + 2, 7)],
  ],
  nearField: [
    (q, k, v, mask, bias) => nearField(q, k, v, { bandwidth: 2, mask, bias }),
    (s) => [
      normal(s, 1, 2, 6, 4),
      normal(s + 1, 1, 2, 6, 4),
      normal(s + 2, 1, 2, 6, 3),
      kept(s, 1, 6),
      normal(s, 2, 3),
    ],
  ],
  fullAttention: [
    (q, k, v, mask, bias) => fullAttention(q, k, v, { mask, bias }),
    (s) => [
      normal(s, 1, 2, 6, 4),
      normal(s + 1, 1, 2, 6, 4),
      normal(s + 2, 1, 2, 6, 3),
      kept(s, 1, 6),
      normal(s, 2, 6, 6),
    ],
  ],
  farField: [
    (q, k, v, mask) => farField(q, k, v, { features: [featureMaps.elu, featureMaps.tanh], mask }),
    (s) => [normal(s, 1, 2, 6, 4), normal(s + 1, 1, 2, 6, 4), normal(s + 2, 1, 2, 6, 3), kept(s, 1, 6)],
  ],
  "farField, causal": [
    (q, k, v, mask) => farField(q, k, v, { features: [featureMaps.elu], mask, causal: true }),
    (s) => [normal(s, 1, 2, 6, 4), normal(s + 1, 1, 2, 6, 4), normal(s + 2, 1, 2, 6, 3), kept(s, 1, 6)],
  ],
  fastWeight: [
    (q, k, v, beta) => fastWeight(q, featureMaps.unitSilu.apply(k), v, beta),
    (s) => [normal(s, 1, 2, 6, 4), normal(s + 1, 1, 2, 6, 4), normal(s + 2, 1, 2, 6, 3), normal(s + 3, 1, 2, 6)],
  ],
  softmaxCrossEntropy: [(x, named) => softmaxCrossEntropy(x, named), (s) => [normal(s, 4, 5), labels(s, 4)]],
  gelu: [(x) => gelu(x), (s) => [normal(s, 3, 5)]],
  eluPlusOne: [(x) => featureMaps.elu.apply(x), (s) => [normal(s, 3, 5)]],
  adamUpdate: [
    (g, mu, nu, step) => adamUpdate(g, mu, nu, { step }),
    (s) => [normal(s, 5), normal(s + 1, 5), positive(s + 2, 5), add(1, mul(s, positive(s + 3)))],
  ],
};

for (const [name, [f, argsOf]] of Object.entries(ops)) {
  test(`${name}, mapped over any of its arguments`, () => {
    const calls = [0, 10, 20].map(argsOf);
    for (const axes of subsetsOf(calls[0].length)) {
      const args = calls[0].map((x, i) => (axes[i] === null ? x : stack(calls.map((call) => call[i]))));
      const mapped = vmap(f, { in: axes });
      runsAlike(mapped, args, [engine], { tolerance: 1e-5 });
      const g = randomLike(random.key(7), mapped(...args));
      const pullEach = vmap((ct: unknown, ...xs: Tensor[]) => vjp(f, ...xs)[1](ct as never), { in: [0, ...axes] });
      const pulled = jit(pullEach as Op, { engine })(g as Tensor, ...args);
      agree(`${name} (gradients of each)`, [pulled, args], [pullEach(g, ...args), args], { tolerance: 1e-5 });
    }
  });
}

/** Every way to map one argument or more. */
function subsetsOf(count: number): (0 | null)[][] {
  return Array.from({ length: 2 ** count - 1 }, (_, at) =>
    Array.from({ length: count }, (__, i) => (((at + 1) >> i) & 1 ? 0 : null)),
  );
}
