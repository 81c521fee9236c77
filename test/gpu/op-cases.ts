import { floor, mul, ones, random, sigmoid, swapAxes, type Tensor, take, tensor, vmap } from "@fmmformer/autodiff";
import {
  adamUpdate,
  bandLogSumExp,
  bandSoftmax,
  causalProduct,
  dropout,
  farField,
  fastWeight,
  featureMaps,
  fullAttention,
  gelu,
  layerNorm,
  meanCrossEntropy,
  nearField,
  rmsNorm,
  softmaxCrossEntropy,
} from "@fmmformer/kernels";

// The composed ops with arguments that meet their edges. Every shape builds kernels anew, hence few.

/** An op at arguments; options are closed over. */
export interface OpCase {
  readonly name: string;
  readonly op: (...args: Tensor[]) => unknown;
  readonly args: readonly Tensor[];
  /** Default 1e-5 */
  readonly tolerance?: number;
}

let drawn = 0;

function normal(...shape: number[]): Tensor {
  return random.normal(random.key(drawn++), shape);
}

/** Whole numbers: times a power of two their dot products are exact, so that large logits have no rounding errors for a softmax to blow up. */
function whole(...shape: number[]): Tensor {
  return floor(mul(normal(...shape), 2));
}

/** Which of n tokens a batch keeps; the last of several batches keeps none. */
function maskOf(b: number, n: number): Tensor {
  const kept = Array.from({ length: b * n }, (_, i) => (i >= n * (b - 1) && b > 1 ? 0 : Number(i % 3 !== 1)));
  return tensor(kept, { shape: [b, n] });
}

export const tokens = (b: number, h: number, n: number, d: number, m: number): Tensor[] => [
  normal(b, h, n, d),
  normal(b, h, n, d),
  normal(b, h, n, m),
];

const heads = (x: Tensor): Tensor => swapAxes(x, 1, 2);

const near: OpCase[] = [
  {
    name: "nearField, causal, with a mask and a bias, one batch masked throughout",
    op: (q, k, v, bias) => nearField(q, k, v, { bandwidth: 3, causal: true, mask: maskOf(2, 5), bias }),
    args: [...tokens(2, 3, 5, 4, 2), normal(3, 3)],
  },
  {
    name: "nearField of large logits and interleaved heads",
    op: (q, k, v) => nearField(heads(q), heads(k), heads(v), { bandwidth: 4, scale: 512 }),
    args: [whole(1, 11, 2, 5), whole(1, 11, 2, 5), normal(1, 11, 2, 3)],
    tolerance: 1e-4,
  },
  {
    name: "nearField of one token, the band wider",
    op: (q, k, v, bias) => nearField(q, k, v, { bandwidth: 2, bias }),
    args: [...tokens(2, 1, 1, 3, 4), normal(1, 3)],
  },
  {
    name: "nearField with dropout",
    op: (q, k, v) => nearField(q, k, v, { bandwidth: 3, dropout: { rate: 0.3, key: random.key(5) } }),
    args: tokens(1, 2, 9, 4, 3),
  },
  {
    name: "nearField and layerNorm under vmap, the mask shared and the bias not",
    op: (q, k, v, bias) =>
      vmap((x: Tensor, y: Tensor, z: Tensor, t: Tensor) => [
        nearField(x, y, z, { bandwidth: 2, mask: maskOf(2, 5), bias: t }),
        layerNorm(x, take(t, 0), take(t, 1)),
      ])(q, k, v, bias),
    args: [normal(3, 2, 2, 5, 3), normal(3, 2, 2, 5, 3), normal(3, 2, 2, 5, 4), normal(3, 2, 3)],
  },
  {
    name: "bandSoftmax and bandLogSumExp",
    op: (x, bias) => {
      const options = { left: 2, right: 1, mask: maskOf(1, 7), bias };
      return [bandSoftmax(x, options), bandLogSumExp(x, options)];
    },
    args: [normal(1, 2, 7, 4), normal(2, 4)],
  },
];

const far: OpCase[] = [
  {
    name: "farField of two maps, masked",
    op: (q, k, v) =>
      farField(q, k, v, { features: [featureMaps.elu, featureMaps.tanh], mask: maskOf(2, 7), returnState: true }),
    args: tokens(2, 3, 7, 4, 2),
  },
  {
    name: "farField beyond a band, masked",
    op: (q, k, v) => farField(q, k, v, { features: [featureMaps.elu], mask: maskOf(2, 7), beyond: 3 }),
    args: tokens(2, 3, 7, 4, 2),
  },
  {
    name: "farField, causal, from a state, ε = 0",
    op: (q, k, v, state) =>
      farField(q, k, v, {
        features: [featureMaps.elu],
        causal: true,
        eps: 0,
        state: sigmoid(state),
        returnState: true,
      }),
    args: [...tokens(1, 2, 11, 3, 2), normal(1, 2, 1, 3, 3)],
  },
  {
    name: "farField, causal, not divided, ℓ1 features, one token",
    op: (q, k, v) =>
      farField(q, k, v, { features: [featureMaps.sigmoid], causal: true, featureNorm: "l1", normalizer: "none" }),
    args: tokens(1, 2, 1, 4, 3),
  },
  {
    name: "farField by its root mean square, weighted, interleaved heads",
    op: (q, k, v, combine) =>
      farField(heads(q), heads(k), heads(v), {
        features: [featureMaps.elu, featureMaps.eluFlip],
        normalizer: "rms",
        combine,
      }),
    args: [normal(1, 20, 2, 4), normal(1, 20, 2, 4), normal(1, 20, 2, 3), normal(2, 2)],
    tolerance: 1e-4,
  },
  {
    name: "causalProduct, both ways",
    op: (q, k, v) => [causalProduct(q, k, v), causalProduct(q, k, v, null, { reverse: true })],
    args: tokens(1, 2, 13, 3, 2),
  },
  {
    name: "fastWeight in chunks",
    op: (q, k, v, beta) => {
      const unit = featureMaps.unitSilu.apply;
      return fastWeight(unit(q), unit(k), v, sigmoid(beta), { chunk: 4, returnState: true });
    },
    args: [...tokens(1, 2, 7, 3, 2), normal(1, 2, 7)],
  },
];

const full: OpCase[] = [
  {
    name: "fullAttention, causal, with a mask and a bias, one batch masked throughout",
    op: (q, k, v, bias) => fullAttention(q, k, v, { causal: true, mask: maskOf(2, 6), bias }),
    args: [...tokens(2, 2, 6, 4, 3), normal(2, 6, 6)],
  },
  {
    name: "fullAttention of large logits, a bias that stretches",
    op: (q, k, v, bias) => fullAttention(heads(q), heads(k), heads(v), { bias, scale: 512 }),
    args: [whole(2, 9, 3, 4), whole(2, 9, 3, 4), normal(2, 9, 3, 2), whole(2, 1, 1, 9)],
    tolerance: 1e-4,
  },
  {
    name: "fullAttention with dropout",
    op: (q, k, v) => fullAttention(q, k, v, { dropout: { rate: 0.4, key: random.key(6) } }),
    args: tokens(1, 2, 5, 3, 4),
  },
];

const classes = tensor(
  Array.from({ length: 8 }, (_, i) => (5 * i) % 7),
  { dtype: "int32", shape: [2, 4] },
);

const layers: OpCase[] = [
  { name: "layerNorm", op: (x, gain, bias) => layerNorm(x, gain, bias), args: [normal(3, 4, 7), normal(7), normal(7)] },
  {
    name: "layerNorm of more rows than a sum takes at once",
    op: (x, gain, bias) => layerNorm(x, gain, bias),
    args: [normal(300, 5), normal(5), normal(5)],
  },
  { name: "rmsNorm", op: (x, gain) => rmsNorm(x, gain), args: [normal(3, 4, 7), normal(7)] },
  {
    name: "softmaxCrossEntropy of large logits",
    // Beside the logits, in whose digits a loss near 0 is lost.
    op: (x) => [softmaxCrossEntropy(mul(x, 1e4), classes), mul(x, 1e4)],
    args: [normal(2, 4, 7)],
  },
  {
    name: "meanCrossEntropy, weighted",
    op: (x) => meanCrossEntropy(x, classes, { weights: tensor([1, 0, 2, 0, 3, 1, 1, 0], { shape: [2, 4] }) }),
    args: [normal(2, 4, 7)],
  },
  { name: "gelu", op: (x) => gelu(mul(x, 3)), args: [normal(5, 7)] },
  { name: "dropout", op: (x) => dropout(x, { rate: 0.4, key: random.key(3) }), args: [normal(5, 7)] },
  {
    name: "adamUpdate",
    op: (g, mu, nu, step) => adamUpdate(g, mu, mul(nu, nu), { step }),
    args: [normal(5, 7), normal(5, 7), normal(5, 7), ones([])],
    tolerance: 1e-4,
  },
];

/** Every composed op. */
export const opCases: readonly OpCase[] = [...near, ...far, ...full, ...layers];
