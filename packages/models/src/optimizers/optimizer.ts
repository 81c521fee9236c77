import {
  add,
  cast,
  flatten,
  type Scalar,
  type Tensor,
  treeMap,
  unflatten,
  zeros,
  zerosLike,
} from "@fmmformer/autodiff";

/**
 * A rule that turns gradients into updates, which are added to the parameters. It keeps nothing itself: what it remembers is passed in and
 * out, a plain tree.
 */
export interface Optimizer<State = unknown> {
  /** What is remembered before the first step. */
  init(params: unknown): State;
  /**
   * One step.
   *
   * @param grads - a tree of the form of `params`
   * @returns the updates, in that form, and what to remember
   */
  update<Grads>(grads: Grads, state: State, params: unknown): [updates: Grads, state: State];
}

/** Parameters, moved by the updates. */
export function applyUpdates<Params>(params: Params, updates: unknown): Params {
  return treeMap((x, u) => add(x, u), params, updates);
}

/**
 * Pass gradients through several rules, each taking what the last one gave: `chain(clipByGlobalNorm(1), adam({ learningRate: 1e-3 }))`.
 */
export function chain(...rules: readonly Optimizer[]): Optimizer<readonly unknown[]> {
  return {
    init: (params) => rules.map((rule) => rule.init(params)),
    update(grads, states, params) {
      let updates = grads;
      const next = rules.map((rule, i) => {
        const [moved, state] = rule.update(updates, states[i], params);
        updates = moved;
        return state;
      });
      return [updates, next];
    },
  };
}

/** A count of steps: none yet. */
export function noSteps(): Tensor {
  return zeros([], { dtype: "int32" });
}

/** A number in the dtype of the tensor it is for, which it would promote otherwise. */
export function inDType(x: Scalar, { dtype }: Tensor): Scalar {
  return typeof x === "number" ? x : cast(x, dtype);
}

/** A tree of zeros. */
export function zerosOf<Tree>(tree: Tree): Tree {
  return treeMap((x) => zerosLike(x as Tensor), tree);
}

/** Apply a function with several results to the leaves of trees of one form: a tree for each result. */
export function mapTrees<Tree>(
  f: (...leaves: Tensor[]) => readonly Scalar[],
  tree: Tree,
  ...others: readonly unknown[]
): Tree[] {
  const { leaves, structure } = flatten(tree);
  const rest = others.map((other) => flatten(other).leaves);
  const results = leaves.map((leaf, i) => f(leaf as Tensor, ...rest.map((list) => list[i] as Tensor)));
  return (results[0] ?? []).map(
    (_, r) =>
      unflatten(
        structure,
        results.map((each) => each[r]),
      ) as Tree,
  );
}
