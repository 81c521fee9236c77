import { defineTask, type Example, type Task } from "./task.ts";

/** Grey values from 0, the first, to 1, the last, row after row. */
export interface Picture {
  readonly width: number;
  readonly height: number;
  readonly pixels: Float32Array;
}

/** A task whose tokens are the pixels of an image. */
export interface ImageTask extends Task {
  /** Turn tokens back into grey values. */
  image(example: Example): Picture;
}

export function isImageTask(task: Task): task is ImageTask {
  return "image" in task && typeof task.image === "function";
}

/**
 * An example of a row that is a label and then grey values.
 *
 * @param blackIsPadding - whether black pixels are masked
 */
export function imageExample(row: Uint8Array, blackIsPadding: boolean): Example {
  const tokens = new Int32Array(row.subarray(1));
  const labels = Int32Array.of(row[0]);
  return blackIsPadding ? { tokens, mask: withoutBlack(tokens), labels } : { tokens, labels };
}

/** The mask that leaves black pixels out. */
export function withoutBlack(tokens: Int32Array): Float32Array {
  const mask = new Float32Array(tokens.length);
  for (let at = 0; at < mask.length; at++) mask[at] = tokens[at] === 0 ? 0 : 1;
  return mask;
}

/** Check the option of the same name. */
export function checkBlackIsPadding(task: string, value: boolean): void {
  if (typeof value === "boolean") return;
  throw new TypeError(`${task}: expected blackIsPadding true or false, got ${value}`);
}

/** Make a task of images that are read pixel by pixel, row after row, tokens being grey values 0 … 255. */
export function imageTask(
  rules: Pick<Task, "name" | "classes" | "examples" | "example"> & {
    readonly width: number;
    readonly height: number;
    /** what an example's label says, below its picture */
    caption(example: Example): string;
  },
): ImageTask {
  const { width, height, caption, ...rest } = rules;

  const image = ({ tokens }: Example): Picture => ({
    width,
    height,
    pixels: Float32Array.from(tokens, (grey) => grey / 255),
  });

  function describe(example: Example): string {
    const { pixels } = image(example);
    const shade = (light: number) => " .:-=+*%@"[Math.round(light * 8)].repeat(2);
    const rows = Array.from({ length: height }, (_, row) => pixels.subarray(row * width, (row + 1) * width));
    return [...rows.map((row) => Array.from(row, shade).join("").trimEnd()), caption(example)].join("\n");
  }

  return {
    ...defineTask({ ...rest, kind: "classify", causal: false, vocabulary: 256, length: width * height, describe }),
    image,
  };
}
