// Models

export { type BlockOptions, type BlockParams, block, type NormOrder } from "./block.ts";
export { type ClassifierOptions, type ClassifierParams, classifier } from "./classifier.ts";
export { type DecoderOptions, decoder } from "./decoder.ts";
export { type EncoderOptions, type EncoderParams, encoder } from "./encoder.ts";
export { type FmmformerOptions, type FmmformerParams, fmmformer } from "./fmmformer.ts";
export { type GenerateOptions, generate } from "./generate.ts";
export { type Model, prepared, type Scores, score } from "./model.ts";
export { parameterCount, parameterCountOf } from "./parameter-count.ts";
export { type PoolingName, pool } from "./pooling.ts";
export { type Preset, type PresetTask, preset, presets } from "./presets.ts";
export { type TokenLabellerOptions, type TokenLabellerParams, tokenLabeller } from "./token-labeller.ts";

// Attention

export type { Attention, AttentionCall, AttentionRecurrence, AttentionSizes } from "./attention/attention.ts";
export {
  type Blend,
  type BlendName,
  type BlendParams,
  type BlendWeight,
  blends,
  type LearnedWeight,
} from "./attention/blend.ts";
export { type FarFieldRule, farFieldRule, type NormalizerName } from "./attention/far-field-rule.ts";
export type { FmmParams } from "./attention/fmm.ts";
export { type AttentionKind, type AttentionOptions, attention, type KernelName } from "./attention/kinds.ts";
export {
  type MultiHeadAttentionOptions,
  type MultiHeadAttentionParams,
  multiHeadAttention,
} from "./attention/multi-head-attention.ts";
export { type BlendNames, type OfficialConfig, type OfficialModule, officialAttention } from "./attention/official.ts";

// Layers

export {
  type AdaptiveSoftmax,
  type AdaptiveSoftmaxOptions,
  type AdaptiveSoftmaxParams,
  adaptiveSoftmax,
  type ClusterParams,
  type ScoredRows,
  type SortedBatch,
} from "./layers/adaptive-softmax.ts";
export { dropout } from "./layers/dropout.ts";
export { type EmbeddingOptions, type EmbeddingParams, embedding } from "./layers/embedding.ts";
export {
  type Activation,
  type FeedForwardOptions,
  type FeedForwardParams,
  feedForward,
} from "./layers/feed-forward.ts";
export type { InitialName } from "./layers/initial.ts";
export type { Call, Layer, Recurrence, StartOptions } from "./layers/layer.ts";
export { type LayerNormOptions, type LayerNormParams, layerNorm } from "./layers/layer-norm.ts";
export { type LinearOptions, type LinearParams, linear } from "./layers/linear.ts";
export { type NormName, type NormParams, norm } from "./layers/norm.ts";
export {
  type LearnedPositionsOptions,
  learnedPositions,
  rotary,
  type SinusoidOptions,
  sinusoids,
} from "./layers/positions.ts";
export { recurrence } from "./layers/recurrence.ts";
export { type RmsNormParams, rmsNorm } from "./layers/rms-norm.ts";
export {
  type PositionsName,
  type TokenEmbeddingOptions,
  type TokenEmbeddingParams,
  tokenEmbedding,
} from "./layers/token-embedding.ts";

// Losses and optimizers

export { accuracy, crossEntropy, type Target } from "./losses.ts";
export { type AdamOptions, type AdamState, type AdamwOptions, adam, adamw } from "./optimizers/adam.ts";
export { clipByGlobalNorm, clipPerTensor } from "./optimizers/clipping.ts";
export { applyUpdates, chain, type Optimizer } from "./optimizers/optimizer.ts";
export { radam } from "./optimizers/radam.ts";
export {
  type CosineOptions,
  constant,
  cosine,
  type OneCycleOptions,
  oneCycle,
  type Schedule,
  stairs,
  warmUp,
} from "./optimizers/schedules.ts";
export { type SgdOptions, type SgdState, sgd } from "./optimizers/sgd.ts";

// Training

export {
  type Best,
  type Checkpoint,
  CheckpointError,
  type Expected,
  openCheckpoint,
  readCheckpoint,
  writeCheckpoint,
} from "./training/checkpoint.ts";
export { differences, type Json } from "./training/differences.ts";
export { type EvaluateOptions, type Evaluator, evaluate, evaluator, type Measured } from "./training/evaluate.ts";
export { type EventContent, type EventTime, eventRecord } from "./training/event-record.ts";
export { type EvaluationLine, type MetricsLine, readMetrics, type StepLine } from "./training/metrics.ts";
export {
  type Perplexity,
  type PerplexityOptions,
  type PerplexitySoFar,
  perplexity,
  type SlidingPerplexityOptions,
  slidingPerplexity,
} from "./training/perplexity.ts";
export { type Evaluation, type Plan, type Ran, type RunEvent, type RunOptions, run } from "./training/run.ts";
export { RunError } from "./training/run-error.ts";
export { type Existing, type RunResult, readConfiguration, readResult, runFiles } from "./training/run-folder.ts";
export {
  type AsyncStepper,
  type Stepper,
  type StepperOptions,
  type StepValues,
  stepper,
  type TrainState,
} from "./training/stepper.ts";
export { type AsyncTrainOptions, type Trained, type TrainOptions, train } from "./training/train.ts";

// Experiments, as data

export { type AttentionModule, type Choices, type Configuration, configure } from "./experiments/configuration.ts";
export type { Experiment, ModelPlan, Scale, TaskOptions } from "./experiments/experiment.ts";
export { experiment, experiments } from "./experiments/experiments.ts";
export {
  type OptimizerPlan,
  type PlannedOptimizer,
  plannedOptimizer,
  type SchedulePlan,
} from "./experiments/optimizer-plan.ts";
export { type PaperResult, paperResult } from "./experiments/paper-results.ts";
export { modelOptions, type OwnAttention, planOf } from "./experiments/plan-of.ts";

// Files

export {
  type Filled,
  fillNamedTensors,
  fromNamedTensors,
  type NamedTensors,
  namedTensors,
} from "./files/named-tensors.ts";
export { writeWhole } from "./files/write-whole.ts";
export { formatSafetensors, parseSafetensors, type Safetensors, SafetensorsError } from "./safetensors.ts";

// Data

export { DataError, type DataPlace } from "./data/data-error.ts";
export { openRows, type ReadOptions, type RowsRule } from "./data/open-rows.ts";
export { type ByteReader, readBytes } from "./data/read-bytes.ts";
export { type OnBytes, readChunks } from "./data/read-chunks.ts";
export { type Line, readLines } from "./data/read-lines.ts";
export type { Rows } from "./data/row-file.ts";
export { findSources, listFolder, type Source, type Wanted } from "./data/sources.ts";

// Tasks, progress and reports

export { type Progress, type ProgressOptions, type ProgressStream, type ProgressValues, progress } from "./progress.ts";
export type { AttentionMap, Band } from "./report/attention-figure.ts";
export type { Matrix } from "./report/heat-map.ts";
export type { Curve } from "./report/learning-curves.ts";
export { type Report, renderReport, writeReport } from "./report/report.ts";
export type { ResultRow } from "./report/results-table.ts";
export { type RunFacts, type RunRecord, runCurve, runReport } from "./report/run-report.ts";
export { type AssociativeRecallOptions, associativeRecall } from "./tasks/associative-recall.ts";
export { type CharactersOptions, characters } from "./tasks/characters.ts";
export { type CopyOptions, copy } from "./tasks/copy.ts";
export { type DigitsOptions, digits } from "./tasks/digits.ts";
export { type ImageOptions, image } from "./tasks/image.ts";
export type { ImageTask, Picture } from "./tasks/image-task.ts";
export { type InspectOptions, inspectTask, type TaskReport } from "./tasks/inspect-task.ts";
export type { LanguageTask } from "./tasks/language-task.ts";
export {
  decodeListOps,
  encodeListOps,
  evaluateListOps,
  type ListOpsOptions,
  listOps,
  listOpsSizes,
} from "./tasks/list-ops.ts";
export { type ListOpsFilesOptions, listOpsFiles } from "./tasks/list-ops-files.ts";
export {
  makesExamples,
  type OpenTaskOptions,
  openTask,
  type TaskName,
  taskNames,
  taskOptions,
} from "./tasks/open-task.ts";
export { type PathfinderOptions, pathfinder } from "./tasks/pathfinder.ts";
export { type PathfinderFilesOptions, pathfinderFiles } from "./tasks/pathfinder-files.ts";
export { type RetrievalOptions, retrieval } from "./tasks/retrieval.ts";
export { type SwitchBoardOptions, type SwitchBoardTask, switchBoard } from "./tasks/switch-board.ts";
export {
  type Batch,
  defineTask,
  type Example,
  type ModelKind,
  type Split,
  type Task,
  type TaskFacts,
} from "./tasks/task.ts";
export { type TextOptions, text } from "./tasks/text.ts";
export type { TextPlace } from "./tasks/text-sources.ts";
export { type WordsOptions, words } from "./tasks/words.ts";

// Figures

export { curvesFigure } from "./figures/curves.ts";
export {
  type EfficiencyOptions,
  type EfficiencyPoint,
  type EfficiencyStudy,
  efficiencyFigure,
  efficiencyStudy,
} from "./figures/efficiency.ts";
export { type BandRanks, type RankOptions, type RankStudy, rankFigure, rankStudy } from "./figures/rank.ts";
export { numericalRank, singularValues } from "./figures/singular-values.ts";
export { attentionMaps, type ReadFieldsOptions, readFields } from "./report/read-fields.ts";

// Pretraining

export { type GreyLabellerOptions, greyLabeller } from "./pretraining/grey-labeller.ts";
export { type MaskedTaskOptions, maskedTask } from "./pretraining/masked-task.ts";
export { nextTokenTask } from "./pretraining/next-token-task.ts";
