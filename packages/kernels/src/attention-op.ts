import type { CustomVjp, Tensor } from "@fmmformer/autodiff";

type Maybe = Tensor | null;

/** Softmax attention as an op with a pullback of its own, over a band or over all pairs; `Rule` holds its static parameters. */
export type AttentionOp<Rule> = CustomVjp<
  [q: Tensor, k: Tensor, v: Tensor, mask: Maybe, bias: Maybe, dropped: Maybe, rule: Rule],
  Tensor,
  AttentionResiduals<Rule>
>;

/** Everything the pullback reads; all but o and the row log-sum-exp are arguments. */
interface AttentionResiduals<Rule> {
  readonly q: Tensor;
  readonly k: Tensor;
  readonly v: Tensor;
  readonly mask: Maybe;
  readonly bias: Maybe;
  readonly dropped: Maybe;
  readonly rule: Rule;
  readonly o: Tensor;
  readonly logSumExp: Tensor;
}
