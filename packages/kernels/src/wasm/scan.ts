import { type ScanParams, sizeOf } from "@fmmformer/autodiff/extend";
import type { Rule } from "./rule.ts";
import { bytesOf, type View } from "./view.ts";

// Body variables have storage of their own. Each round copies the rows of its step inputs there and its results away; carries are
// copied back to where the next round finds them.
/** A loop in the plan. */
export const lowerScan: Rule = (b, { ins, outs, params }) => {
  const { program, constants, carries, length, reverse, save } = params as ScanParams;
  const results = program.outputs.length;
  const state = ins.slice(constants, constants + carries).map((x) => {
    const own = b.create(x);
    b.copy(b.view(x), own);
    return own;
  });
  const steps = ins.slice(constants + carries).map((x) => b.contiguous(x));
  const stacks = outs.slice(carries).map((y) => b.create(y));
  const depth = b.depth;
  const body = b.nested((inner) => {
    const round = (from: View, to: View, stepped: "from" | "to" | "none"): void => {
      const bytes = sizeOf(stepped === "from" ? to.shape : from.shape) * bytesOf[from.dtype];
      if (bytes === 0) return;
      const words = [
        b.address(from),
        stepped === "from" ? bytes : 0,
        b.address(to),
        stepped === "to" ? bytes : 0,
        bytes,
        depth,
      ];
      inner.emit({ kernel: "copyRound", words, label: "scan" }, [to]);
    };
    program.inputs.forEach((v, i) => {
      if (i < constants) inner.define(v, b.view(ins[i]));
      else if (i < constants + carries) inner.define(v, state[i - constants]);
      else {
        const row = inner.create(v);
        round(steps[i - constants - carries], row, "from");
        inner.define(v, row);
      }
    });
    if (save) for (const [i, x] of state.entries()) round(x, stacks[results - carries + i], "to");
    inner.lower(program);
    const found = program.outputs.map((y) => inner.contiguous(y));
    for (const [i, y] of found.slice(carries).entries()) round(y, stacks[i], "to");
    // A carry may be made of another: all are copied aside before one is written back.
    const next = found.slice(0, carries).map((y) => {
      if (!state.some((x) => x.source === y.source)) return y;
      const aside = inner.create(y);
      inner.copy(y, aside);
      return aside;
    });
    for (const [i, y] of next.entries()) round(y, state[i], "none");
  });
  if (length > 0) b.emit({ rounds: length, reverse, body }, [...state, ...stacks]);
  outs.forEach((y, i) => {
    b.define(y, i < carries ? state[i] : stacks[i - carries]);
  });
};
