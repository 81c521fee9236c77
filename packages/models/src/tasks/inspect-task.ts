import { pngBytes } from "../report/png.ts";
import { type ImageTask, isImageTask } from "./image-task.ts";
import { type Example, type Split, sequencesOf, type Task } from "./task.ts";

export interface InspectOptions {
  /** examples that lengths and classes are counted in; 500 unless told, all where there are fewer */
  readonly sample?: number;
  /** examples that are shown; 3 unless told */
  readonly shown?: number;
  /** which examples; "train" unless told */
  readonly split?: Split;
}

/** What there is to see of a task. */
export interface TaskReport {
  /** distinct examples in each split; Infinity where they are drawn on the fly */
  readonly counts: Readonly<Record<Split, number>>;
  /** examples that were looked at */
  readonly sampled: number;
  /** tokens of a sequence, padding apart; of pairs, of each of the two; 0 where the split has no examples */
  readonly lengths: { readonly min: number; readonly median: number; readonly max: number };
  /** how often each class is asked for */
  readonly classes: readonly number[];
  /** examples as a person reads them */
  readonly examples: readonly string[];
  /** PNG of up to 16 images, where the tokens are pixels and the split has examples */
  readonly picture?: Uint8Array;
}

/**
 * Look at some examples of a task: how long they are, which labels they have, and what they say.
 *
 * @throws RangeError when sample or shown is no whole number ≥ 1
 */
export function inspectTask(task: Task, options: InspectOptions = {}): TaskReport {
  const { sample = 500, shown = 3, split = "train" } = options;
  for (const [name, value] of Object.entries({ sample, shown })) {
    if (Number.isInteger(value) && value >= 1) continue;
    throw new RangeError(`inspectTask: expected ${name} to be an integer ≥ 1, got ${value}`);
  }
  const sampled = Math.min(sample, task.examples[split]);
  const lengths: number[] = [];
  const classes = new Array<number>(task.classes).fill(0);
  for (let index = 0; index < sampled; index++) {
    const { mask, labels, weights } = task.example(split, index);
    const sequences = sequencesOf(task);
    for (let side = 0; side < sequences; side++) {
      const own = mask?.subarray(side * task.length, (side + 1) * task.length);
      lengths.push(own?.reduce((sum, one) => sum + one, 0) ?? task.length);
    }
    for (let at = 0; at < labels.length; at++) if (weights?.[at] !== 0) classes[labels[at]]++;
  }
  lengths.sort((one, other) => one - other);
  const some = (count: number): Example[] =>
    Array.from({ length: Math.min(count, task.examples[split]) }, (_, index) => task.example(split, index));
  const [min = 0, median = 0, max = 0] = [lengths[0], lengths[lengths.length >> 1], lengths[lengths.length - 1]];
  return {
    counts: task.examples,
    sampled,
    lengths: { min, median, max },
    classes,
    examples: some(shown).map((example) => task.describe(example)),
    ...(isImageTask(task) && sampled > 0 && { picture: sheet(task, some(16)) }),
  };
}

/** Images side by side, eight in a row, enlarged to at least 64 pixels each, with a grey line between. */
function sheet(task: ImageTask, examples: readonly Example[]): Uint8Array {
  const pictures = examples.map((example) => task.image(example));
  const [{ width, height }] = pictures;
  const scale = Math.max(1, Math.ceil(64 / Math.max(width, height)));
  const [wide, tall] = [width * scale + 1, height * scale + 1];
  const columns = Math.min(8, pictures.length);
  const across = columns * wide - 1;
  const pixels = new Uint8Array(across * (Math.ceil(pictures.length / columns) * tall - 1)).fill(128);
  for (const [place, picture] of pictures.entries()) {
    const [top, left] = [Math.floor(place / columns) * tall, (place % columns) * wide];
    for (let row = 0; row < height * scale; row++) {
      for (let column = 0; column < width * scale; column++) {
        const light = picture.pixels[Math.floor(row / scale) * width + Math.floor(column / scale)];
        pixels[(top + row) * across + left + column] = Math.round(255 * light);
      }
    }
  }
  return pngBytes(across, pixels);
}
