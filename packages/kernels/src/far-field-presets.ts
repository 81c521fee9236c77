import type { FarFieldNorms } from "./far-field.ts";

/** What a preset may depend on: n tokens, counted with padding, of width d. */
export interface FarFieldSizes {
  readonly n: number;
  readonly d: number;
}

/** Options of `farField` by convention. */
export type FarFieldPresets = {
  readonly [Name in "paper" | "lra" | "lm" | "copy"]: (sizes: FarFieldSizes) => Required<FarFieldNorms>;
};

/**
 * How the far field is scaled in the paper, and in its authors' code for Long Range Arena, language models and copying.
 *
 * @see Nguyen, Suliafu, Osher, Chen, Wang (2021), FMMformer, https://arxiv.org/abs/2108.02347
 */
export const farFieldPresets: FarFieldPresets = {
  paper: () => ({ featureNorm: "none", normalizer: "sum", eps: 1e-6, scale: 1 }),
  lra: ({ n }) => ({ featureNorm: "none", normalizer: "none", eps: 0, scale: 1 / Math.sqrt(n) }),
  lm: ({ d }) => ({ featureNorm: "l1", normalizer: "sum", eps: 1e-5, scale: 1 / Math.sqrt(d) }),
  copy: () => ({ featureNorm: "l1", normalizer: "sum", eps: 1e-6, scale: 1 }),
};
