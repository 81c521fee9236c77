// Dense definitions, all n² weights written out, under the names of the ops that are checked against them. Nothing else uses them.
export { bandDot, bandMatmul, bandSoftmax, bandToDense, bandTranspose, denseToBand } from "./oracles/band.ts";
export { causalProduct } from "./oracles/causal-product.ts";
export { farField, farFieldState } from "./oracles/far-field.ts";
export { fastWeight } from "./oracles/fast-weight.ts";
export { nearField } from "./oracles/near-field.ts";
