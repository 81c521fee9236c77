import type { Tensor } from "@fmmformer/autodiff";
import type { InitialName } from "../layers/initial.ts";
import type { Call, StartOptions } from "../layers/layer.ts";

/** What attention is told besides queries, keys and values. */
export interface AttentionCall extends Call {
  /** (…b, n, c) what queries, keys and values were made from */
  readonly x: Tensor;
}

/** Attention in heads: what every kind of ours is, and what a user's own must be. */
export interface Attention<Params = unknown> {
  /** Draw parameters, a plain tree of tensors. */
  init(key: Tensor): Params;
  /**
   * Mix values.
   *
   * @param q - (…b, h, n, d)
   * @param k - (…b, h, n, d)
   * @param v - (…b, h, n, d)
   * @returns (…b, h, n, d)
   */
  apply(params: Params, q: Tensor, k: Tensor, v: Tensor, call: AttentionCall): Tensor;
  /** The same token by token, for a sequence of `length` in all, where attention is causal; without it layers go by whole sequences alone. */
  recurrence?(length: number): AttentionRecurrence<Params>;
}

/** Causal attention as a function of one token and of what is remembered of those before: a tree of tensors, whose form stays. */
export interface AttentionRecurrence<Params = unknown, State = unknown> {
  /** What is remembered before the first token. */
  start(options: Required<StartOptions>): State;
  /**
   * Take the next token.
   *
   * @param q - (…b, h, 1, d), as k and v
   * @returns row i of what `apply` makes of a whole sequence, (…b, h, 1, d), and what is remembered then
   */
  step(
    params: Params,
    q: Tensor,
    k: Tensor,
    v: Tensor,
    call: Pick<AttentionCall, "x">,
    state: State,
  ): readonly [o: Tensor, state: State];
}

/** What attention is built into. */
export interface AttentionSizes {
  /** c, the width of a token */
  readonly width: number;
  /** h */
  readonly heads: number;
  /** d, the width of queries, keys and values of one head */
  readonly headWidth: number;
  /** Whether token i may see only j ≤ i */
  readonly causal: boolean;
  /** What its linear maps start with; "torch" unless told */
  readonly init?: InitialName;
}
