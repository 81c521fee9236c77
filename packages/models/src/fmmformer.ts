import type { Attention } from "./attention/attention.ts";
import type { AttentionKind, AttentionOptions } from "./attention/kinds.ts";
import { type ClassifierOptions, type ClassifierParams, classifier } from "./classifier.ts";
import { checkName, checkOptions } from "./known-name.ts";
import type { Layer } from "./layers/layer.ts";
import type { Model } from "./model.ts";
import type { ModelKind } from "./tasks/task.ts";
import { type TokenLabellerOptions, type TokenLabellerParams, tokenLabeller } from "./token-labeller.ts";

type Details = Omit<
  ClassifierOptions & TokenLabellerOptions,
  "width" | "heads" | "hidden" | "layers" | "attention" | "pairs"
>;

/** A model, as data. Only what it takes and gives must be told. */
export interface FmmformerOptions extends Details {
  /** "classify" unless told */
  readonly kind?: ModelKind;
  /** c, the width of a token; 64 unless told */
  readonly width?: number;
  /** How many blocks; 2 unless told */
  readonly layers?: number;
  /** h; 2 unless told */
  readonly heads?: number;
  /** The width inside the feed-forward parts; 4c unless told */
  readonly hidden?: number;
  /** A kind of attention, by name or with options, or one's own; "fmm" unless told */
  readonly attention?: AttentionKind | AttentionOptions | Attention;
}

export type FmmformerParams = ClassifierParams | TokenLabellerParams;

const names: readonly (keyof FmmformerOptions)[] = [
  "kind",
  "vocabulary",
  "length",
  "classes",
  "width",
  "layers",
  "heads",
  "headWidth",
  "hidden",
  "attention",
  "causal",
  "bias",
  "positions",
  "scale",
  "std",
  "activation",
  "order",
  "norm",
  "finalNorm",
  "dropout",
  "embeddingDropout",
  "finalDropout",
  "pooling",
  "tied",
  "cutoffs",
  "init",
];

/**
 * Make a transformer whose attention is split into a near and a far field.
 *
 * It takes int32 tokens (…b, n) and gives logits: (…b, classes) of a sequence, (…b, classes) of a pair of sequences (…b, 2, n), or
 * (…b, n, classes) of each token. A mask (…b, n) in the call marks tokens, and a key turns dropout on. With `causal` no token sees those
 * after it. With `cutoffs` the head of a token labeller is an adaptive softmax, and the model scores itself.
 *
 * @throws TypeError when an option or a name is unknown / RangeError when a number is out of range
 */
export function fmmformer(options: FmmformerOptions): Layer<FmmformerParams> | Model<FmmformerParams> {
  checkOptions("fmmformer", options, names);
  const kind = checkName("fmmformer", "kind", options.kind ?? "classify", [
    "classify",
    "classify-pairs",
    "label-tokens",
  ]);
  const { width = 64, layers = 2, heads = 2, hidden = 4 * width, attention = "fmm", dropout = 0 } = options;
  const { vocabulary, length, classes } = options;
  for (const [name, value] of Object.entries({ vocabulary, length, classes, width, layers, heads, hidden })) {
    if (!Number.isInteger(value) || value < 1) {
      throw new RangeError(`fmmformer: expected ${name} to be an integer ≥ 1, got ${value}`);
    }
  }
  if (!(dropout >= 0 && dropout < 1))
    throw new RangeError(`fmmformer: expected dropout from 0 to below 1, got ${dropout}`);
  const own = typeof attention === "string" ? { kind: attention } : attention;
  const whole = { ...options, width, layers, heads, hidden, dropout, attention: own };
  const layer =
    kind === "label-tokens" ? tokenLabeller(whole) : classifier({ ...whole, pairs: kind === "classify-pairs" });
  return layer as Layer<FmmformerParams> | Model<FmmformerParams>;
}
