import { customVjp, type Tensor } from "@fmmformer/autodiff";
import { type AttentionDropout, checkRate, drawDropped, drop } from "./attention-dropout.ts";

/**
 * Set each element to 0 with probability `rate`, and divide the others by 1 − rate, so that the expected value stays.
 *
 * Which ones is a function of the key, 16 random bits an element: they are drawn again in the pullback instead of kept.
 *
 * @param x - any shape
 * @param options.rate - from 0 to below 1; 0 returns x
 * @param options.key - int32 (2); the same key drops the same elements
 * @throws RangeError when the rate is not in [0, 1)
 * @see Srivastava, Hinton, Krizhevsky, Sutskever, Salakhutdinov (2014), Dropout, https://jmlr.org/papers/v15/srivastava14a.html
 */
export function dropout(x: Tensor, { rate, key }: AttentionDropout): Tensor {
  return checkRate("dropout", rate) === 0 ? x : dropoutOp(x, key, { rate });
}

const dropoutOp = customVjp({
  name: "dropout",
  forward: (x: Tensor, key: Tensor, { rate }: { readonly rate: number }) => [
    drop(x, drawDropped({ key, rate }, x.shape), rate),
    { key, rate },
  ],
  pullback: ({ key, rate }, g) => [drop(g, drawDropped({ key, rate }, g.shape), rate), null, null],
});
