import { customVjp, type Tensor } from "@fmmformer/autodiff";
import { type AttentionDropout, checkRate, dropping } from "./attention-dropout.ts";

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
    dropping(key, rate, x.shape)(x),
    { key, rate },
  ],
  pullback: ({ key, rate }, g) => [dropping(key, rate, g.shape)(g), null, null],
});
