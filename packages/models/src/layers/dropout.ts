import type { Tensor } from "@fmmformer/autodiff";
import { dropout as drop } from "@fmmformer/kernels";
import type { Call } from "./layer.ts";

/** Drop elements of x with probability `rate` where the call has a key, that is, in training; return x as it is where it has none. */
export function dropout(rate: number, x: Tensor, { key }: Call = {}): Tensor {
  return key ? drop(x, { rate, key }) : x;
}
