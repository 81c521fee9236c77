import { ShapeError, showShape, type Tensor } from "@fmmformer/autodiff";
import type { Layer, Recurrence } from "./layer.ts";

/**
 * A causal layer token by token, in time and memory that do not grow with the tokens before:
 *
 *     y_i, state_i = step(params, x_i, state_{i−1}),   y = apply(params, x),   x and y of `length` tokens
 *
 * Gradients agree as well. A near field remembers the keys and values of its band, a far field one sum for each feature map, and where it is
 * disjoint the tokens that it does not see yet; softmax attention those of `length` tokens. Longer sequences go on where that can be: softmax
 * attention then sees the last `length` tokens, and learned positions have no further row.
 *
 * @param layer - decoder, token labeller, encoder, block or attention, causal; or token embedding
 * @param options.length - tokens of a whole sequence, on which scales and positions may depend
 * @throws TypeError when the layer is another or not causal, or attention of one's own has no recurrence / RangeError when length is no integer
 *   ≥ 1 or more than there are learned positions
 * @see Katharopoulos, Vyas, Pappas, Fleuret (2020), Transformers are RNNs, section 3.4, https://arxiv.org/abs/2006.16236
 */
export function recurrence<Params>(layer: Layer<Params>, { length }: { readonly length: number }): Recurrence<Params> {
  if (!Number.isInteger(length) || length < 1) {
    throw new RangeError(`recurrence: expected length to be an integer ≥ 1, got ${length}`);
  }
  if (layer.recurrence) return layer.recurrence(length);
  throw new TypeError(
    "recurrence: expected a decoder, token labeller, encoder, block or attention that is causal, got another layer; " +
      "set causal: true, and give attention of your own a recurrence",
  );
}

/** Check that there is one token: x (…b, 1), or (…b, 1, c). */
export function expectOneToken(op: string, x: Tensor, axis: -1 | -2): void {
  if (x.shape[x.shape.length + axis] === 1) return;
  throw new ShapeError(
    `${op}: expected one token (…b, 1${axis === -2 ? ", c" : ""}), got ${showShape(x.shape)}; apply the layer to several`,
  );
}
