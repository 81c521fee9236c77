import { type FarFieldNorms, farFieldPresets } from "@fmmformer/kernels";
import { checkName } from "../known-name.ts";

/** How a far field is scaled, given n tokens of width d. */
export type FarFieldRule = (sizes: { readonly n: number; readonly d: number }) => Required<FarFieldNorms>;

/**
 * Ways to scale a far field by name: that of the paper, those of its authors' code for Long Range Arena, language modelling and the copy
 * task, and two of ours: `rms` divides each row by its root mean square, `none` by nothing.
 */
export type NormalizerName = "paper" | "lra" | "lm" | "copy" | "rms" | "none";

const rules: Readonly<Record<NormalizerName, FarFieldRule>> = {
  ...farFieldPresets,
  rms: () => ({ featureNorm: "none", normalizer: "rms", eps: 1e-6, scale: 1 }),
  none: () => ({ featureNorm: "none", normalizer: "none", eps: 0, scale: 1 }),
};

/** The rule of that name; a rule of one's own as it is. */
export function farFieldRule(rule: NormalizerName | FarFieldRule): FarFieldRule {
  if (typeof rule === "function") return rule;
  return rules[checkName("attention", "normalizer", rule, Object.keys(rules) as NormalizerName[])];
}
