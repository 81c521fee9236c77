import type { Call } from "../../composed-call.ts";
import type { Builder } from "../builder.ts";
import { type Formula, reshaped } from "../formula.ts";
import type { Rule } from "../rules.ts";
import { reduced } from "../sums.ts";

/** A composed op that has a rule of its own. */
export interface FusedOp {
  /** Whether the rule does this use of it; if not it is written out as primitives. */
  takes(call: Call): boolean;
  readonly rule: Rule;
}

/** Elements added up over the axes along which a shape is shorter. */
export function summedTo(b: Builder, x: Formula, shape: readonly number[]): Formula {
  const extra = x.shape.length - shape.length;
  const axes = [...x.shape.keys()].filter((axis) => x.shape[axis] !== (shape[axis - extra] ?? 1));
  return reshaped(axes.length > 0 ? reduced(b, "sum", x, axes) : x, shape);
}
