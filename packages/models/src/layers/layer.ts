import type { Tensor } from "@fmmformer/autodiff";
import type { Recurrence } from "./recurrence.ts";

/** What a layer is told besides its input. */
export interface Call {
  /** (…b, n) 1 or true at a token, 0 or false at padding; null or absent where all are tokens. */
  readonly mask?: Tensor | null;
  /** Where dropout draws from: with a key it drops, without one it does not. */
  readonly key?: Tensor | null;
}

/** A pure function with parameters: `init` draws them, `apply` uses them, and nothing is kept in between. */
export interface Layer<Params> {
  /** Draw parameters, a plain tree of tensors. */
  init(key: Tensor): Params;
  apply(params: Params, x: Tensor, call?: Call): Tensor;
  /** The layer token by token, for a sequence of `length` in all; absent where it needs what comes later. Asked for by `recurrence`. */
  recurrence?(length: number): Recurrence<Params>;
}
