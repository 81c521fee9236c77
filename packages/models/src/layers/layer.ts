import type { Tensor } from "@fmmformer/autodiff";

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
  /** The layer token by token, of a sequence of `length`; absent where it only maps rows or needs later ones. Asked for by `recurrence`. */
  recurrence?(length: number): Recurrence<Params>;
}

/** What a sequence starts as. */
export interface StartOptions {
  /** (…b) the axes before that of tokens; none unless told */
  readonly batch?: readonly number[];
  /** That of the parameters; "float32" unless told */
  readonly dtype?: "float32" | "float64";
}

/** A causal layer as a function of one token and of what is remembered of those before: a tree of tensors, whose form stays. */
export interface Recurrence<Params, State = unknown> {
  /** What is remembered before the first token. */
  start(options?: StartOptions): State;
  /**
   * Take the next token.
   *
   * @param x - tokens (…b, 1), or (…b, 1, c) what they became
   * @returns row i of what `apply` makes of a whole sequence, (…b, 1, …), and what is remembered then
   * @throws ShapeError when there is more than one token
   */
  step(params: Params, x: Tensor, state: State): readonly [y: Tensor, state: State];
}
