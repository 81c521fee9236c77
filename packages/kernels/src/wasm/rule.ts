import type { Equation } from "@fmmformer/autodiff/extend";
import type { Builder } from "./builder.ts";
import type { Uses } from "./uses.ts";

/** How an equation becomes steps. */
export type Rule = (builder: Builder, equation: Equation, uses: Uses) => void;
