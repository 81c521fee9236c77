import type { DType } from "@fmmformer/autodiff";
import { type Atom, sizeOf, type Var } from "@fmmformer/autodiff/extend";
import type { Call } from "../../composed-call.ts";
import type { Builder } from "../builder.ts";
import type { Place, Word } from "../plan.ts";
import type { Uses } from "../uses.ts";
import { bytesOf, orderOf, reshaped, type View } from "../view.ts";

// What the rules of composed ops have in common.

/** A composed op that has kernels: which uses of it the kernels take, and the words of their steps. */
export interface FusedOp {
  /** Whether the kernels do this use of it; if not it is written out as primitives. */
  takes(call: Call): boolean;
  lower(builder: Builder, call: Call, uses: Uses): void;
}

/** A width rounded up to whole vectors of float32. */
export function padded(width: number): number {
  return Math.ceil(width / 4) * 4;
}

/** Tokens that causal kernels work on at a time: that of assembly/causal-chunk.ts. */
export const causalChunk = 16;

/** Storage for a result, its address; 0 where it is not wanted. */
export function created(b: Builder, y: Var | null): Word {
  if (!y) return 0;
  const to = b.create(y);
  b.define(y, to);
  return b.address(to);
}

/** A row-major operand. */
export function dense(b: Builder, x: Atom): Place {
  return b.address(b.contiguous(x));
}

/**
 * A view with its last `core` axes, and what is in front joined to one: its address, and the strides in bytes of all axes but the last,
 * which is contiguous. It is copied where strides cannot say that.
 */
export function strided(b: Builder, x: Atom | View, core: number): readonly Word[] {
  const view = "offset" in x ? x : b.view(x);
  const lead = sizeOf(view.shape.slice(0, -core));
  const joined = reshaped(view, [lead, ...view.shape.slice(-core)]);
  const last = joined?.strides[core];
  const good = joined && typeof joined.source !== "number" && (last === 1 || view.shape[view.shape.length - 1] === 1);
  if (!good || joined.strides.some((s) => s < 0)) return strided(b, b.contiguous(x), core);
  const bytes = bytesOf[view.dtype as DType];
  return [b.address(joined), ...joined.strides.slice(0, core).map((s) => s * bytes)];
}

/** The same for a result that lies as `like` does, an operand of as many axes; zeros where it is not wanted. */
export function stridedResult(b: Builder, y: Var | null, core: number, like: Atom): readonly Word[] {
  if (!y) return new Array<number>(1 + core).fill(0);
  const order = orderOf(b.view(like));
  const last = y.shape.length - 1;
  const to = order?.[last] === last ? b.create(y, order) : b.create(y);
  b.define(y, to);
  return strided(b, to, core);
}
