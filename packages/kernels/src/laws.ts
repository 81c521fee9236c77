// The laws that every kernel here is tested with, for kernels of your own. Needs fast-check.

export { agree, LawError } from "./laws/agreement.ts";
export { distinctSizes, keys, masks, type NumberOptions, numbers, tensors } from "./laws/arbitraries.ts";
export {
  type Attention,
  ignoresPadding,
  isLocal,
  isPermutationEquivariant,
  isZeroWhereMasked,
  narrowBandIsIdentity,
  packedIsSeparate,
  paddedIsSeparate,
  rowsSumToOne,
  type Tokens,
  wideBandIsFull,
} from "./laws/attention-laws.ts";
export {
  agreesWithOracle,
  commutesWithJit,
  commutesWithVmap,
  growsLinearly,
  hasGradient,
  isAdjoint,
  isPure,
  type LawOptions,
  randomLike,
  refusesOtherSizes,
  runsAlike,
  runsAlikeOn,
  staysFinite,
} from "./laws/op-laws.ts";
