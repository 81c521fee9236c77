import { tensor } from "@fmmformer/autodiff";
import type { Attention, AttentionSizes } from "../attention/attention.ts";
import { type FmmformerOptions, type FmmformerParams, fmmformer } from "../fmmformer.ts";
import type { Layer } from "../layers/layer.ts";
import type { Model } from "../model.ts";
import type { AttentionMap } from "../report/attention-figure.ts";
import { readFields } from "../report/read-fields.ts";
import type { WatchedModel } from "../report/watch-attention.ts";
import { isImageTask } from "../tasks/image-task.ts";
import type { Task } from "../tasks/task.ts";
import type { Json } from "../training/differences.ts";
import type { Plan } from "../training/run.ts";
import type { Configuration } from "./configuration.ts";
import { plannedOptimizer } from "./optimizer-plan.ts";

/** Attention of a user's own: as it is, or made for the sizes of the model. */
export type OwnAttention = Attention | ((sizes: AttentionSizes) => Attention);

/** Maps larger than this are not drawn. */
const longestMap = 400;

/**
 * Make what a configuration says: a model that fits the task, and an optimizer.
 *
 * @param task - that of the configuration, opened
 * @param own - the attention of the configuration's module, where it has one
 * @throws RangeError when the model is of another kind than the task
 */
export function planOf(configuration: Configuration, task: Task, own?: OwnAttention): Plan<FmmformerParams> {
  const { name, steps, batchSize, seed, evaluation } = configuration;
  const options = modelOptions(configuration, task, own);
  const maps = (params: FmmformerParams): AttentionMap[] => mapsOf(options, task, params);
  return {
    ...{ task, name, steps, batchSize, seed, evaluation, maps },
    model: fmmformer(options) as Layer<FmmformerParams> | Model<FmmformerParams>,
    ...plannedOptimizer(configuration.optimizer, steps),
    configuration: JSON.parse(JSON.stringify(configuration)) as Json,
  };
}

/** What `fmmformer` takes for a configuration: its model, enlarged where the task has more tokens, ids or classes. */
export function modelOptions(configuration: Configuration, task: Task, own?: OwnAttention): FmmformerOptions {
  const { attention, ...model } = configuration.model;
  const { vocabulary, length, classes, kind, causal } = task;
  const options = {
    ...{ kind, causal, ...model },
    vocabulary: Math.max(vocabulary, model.vocabulary ?? 0),
    length: Math.max(length, model.length ?? 0),
    classes: Math.max(classes, model.classes ?? 0),
  };
  if (options.kind !== kind) {
    throw new RangeError(`experiment: expected a model of kind ${kind} for ${task.name}, got ${options.kind}`);
  }
  const cutoffs = options.cutoffs?.filter((cutoff) => cutoff < options.vocabulary) ?? [];
  const { cutoffs: _, ...rest } = options;
  const whole = cutoffs.length > 0 ? { ...rest, cutoffs } : rest;
  if (!("module" in attention)) return { ...whole, attention };
  if (!own) throw new TypeError(`experiment: expected the attention of ${attention.module}, got none`);
  if (typeof own !== "function") return { ...whole, attention: own };
  const { width = 64, heads = 2 } = whole;
  const sizes = { width, heads, headWidth: whole.headWidth ?? width / heads, causal: whole.causal };
  return { ...whole, attention: own(sizes) };
}

/** What a trained model of both fields reads in the first three images of the test split. */
function mapsOf(options: FmmformerOptions, task: Task, params: FmmformerParams): AttentionMap[] {
  const { attention } = options;
  const watched = typeof attention === "object" && "kind" in attention && attention.kind === "fmm";
  if (!watched || !isImageTask(task) || task.length > longestMap) return [];
  const places = [0, 1, 2].filter((index) => index < task.examples.test);
  const examples = places.map((index) => task.example("test", index));
  if (examples.some(({ mask }) => mask?.includes(0))) return []; // padding is not shown in a map
  return examples.map((example, index) => {
    const image = task.image(example);
    const { near, far } = readFields(options as WatchedModel, params, tensor(example.tokens));
    const caption = `Test example ${index}, of class ${example.labels[0]}: head 1 of block 1`;
    return { caption, image, query: brightest(image.pixels), near, far };
  });
}

/** The pixel that differs most from 0: a query worth looking at. */
function brightest(pixels: ArrayLike<number>): number {
  let best = 0;
  for (let i = 0; i < pixels.length; i++) if (pixels[i] > pixels[best]) best = i;
  return best;
}
