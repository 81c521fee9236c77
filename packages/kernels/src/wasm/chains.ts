import { sizeOf } from "@fmmformer/autodiff/extend";
import { again, type Chain, cheapRoots, fits, instructCopy, type Node, newChain } from "./chain.ts";
import type { Storage, Value } from "./storage.ts";
import { broadcast, reshaped, type View } from "./view.ts";

/** Which chain takes an op. */
export interface Chains {
  /** The chain that can take an op on these operands, and the operands as it sees them. */
  place(
    operands: readonly Value[],
    shape: readonly number[],
  ): { readonly chain: Chain; readonly inputs: readonly (Node | View)[] };
  /** A value of a chain of its own that reads this view. What it took to have the view is done before the chain runs. */
  copied(x: View): Node;
}

export function createChains({ steps, plan, store, viewOf, readyAt }: Storage): Chains {
  let recent: Chain[] = [];

  const open = (shape: readonly number[]): Chain => {
    const chain = newChain(steps.length, shape);
    steps.push(chain);
    recent = [chain, ...recent.slice(0, 7)];
    return chain;
  };

  /** What an op in `chain` would read for a value: nothing where the value is inside the chain. */
  const readFor = (x: Value, chain: Chain): readonly View[] => {
    if (!("node" in x)) return [x];
    if (x.node.chain === chain) return [];
    if (!x.node.stored) return cheapRoots(x.node) ?? [plan(x)];
    const seen = reshaped(x.node.stored, x.shape);
    return seen ? [seen] : [];
  };
  const ready = (x: Value, chain: Chain): boolean => {
    if (!("node" in x)) return readyAt(x) < chain.at;
    if (x.node.chain === chain) return true;
    const roots = x.node.stored ? null : cheapRoots(x.node);
    if (roots) return roots.every((root) => readyAt(root) < chain.at);
    // What is stored in an order that this shape cannot walk would be copied, and later than the chain runs.
    return x.node.chain.at < chain.at && (!x.node.stored || reshaped(x.node.stored, x.shape) !== null);
  };
  /** A value as an operand inside `chain`: what costs little is computed there once more rather than stored and read. */
  const inside = (x: Value, chain: Chain): Node | View => {
    if (!("node" in x) || x.node.chain === chain) return "node" in x ? x.node : x;
    return !x.node.stored && cheapRoots(x.node) ? again(x.node, chain) : store(x);
  };

  const place: Chains["place"] = (operands, shape) => {
    const size = sizeOf(shape);
    const spread = operands.map(
      (x): Value => ("node" in x && sizeOf(x.shape) === size ? x : broadcast(viewOf(x), shape)),
    );
    const sources = new Set(spread.flatMap((x) => ("node" in x ? [x.node.chain] : [])));
    const sharesWith = (chain: Chain): boolean =>
      sources.has(chain) ||
      chain.reads.some(
        (r) => typeof r.source !== "number" && spread.some((x) => !("node" in x) && x.source === r.source),
      );
    // What an op in a chain would have others write down for it, who else would keep it to themselves
    const storesFor = (chain: Chain): number =>
      spread.filter((x) => "node" in x && x.node.chain !== chain && !x.node.stored && !cheapRoots(x.node)).length;
    const candidates = [...new Set([...sources, ...recent])].sort((a, b) => storesFor(a) - storesFor(b) || b.at - a.at);
    const found = candidates.find((chain) => {
      if (chain.size !== size || !sharesWith(chain) || !spread.every((x) => ready(x, chain))) return false;
      return fits(
        chain,
        spread.flatMap((x) => readFor(x, chain)),
      );
    });
    if (found) return { chain: found, inputs: spread.map((x) => inside(x, found)) };
    const alone = newChain(steps.length, shape);
    const together = fits(
      alone,
      spread.flatMap((x) => readFor(x, alone)),
    );
    const views = spread.map((x) => (together && "node" in x && !x.node.stored && cheapRoots(x.node) ? x : viewOf(x)));
    const chain = open(shape);
    return { chain, inputs: views.map((x) => inside(x, chain)) };
  };

  return { place, copied: (x) => instructCopy(open(x.shape), x) };
}
