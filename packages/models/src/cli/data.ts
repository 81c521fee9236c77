import { writeFileSync } from "node:fs";
import { pngBytes } from "../report/png.ts";
import { openTask } from "../tasks/open-task.ts";
import type { Example, Task } from "../tasks/task.ts";
import { showReading } from "./plan-run.ts";

export interface InspectFlags {
  readonly data?: string;
  readonly set?: { readonly [name: string]: number };
  readonly examples: number;
  readonly picture?: string;
}

/** The command `data`: what a task is made of. */
export async function inspect(name: string, { data, set, examples, picture }: InspectFlags): Promise<void> {
  const task = await openTask(name, { dir: data, options: set ?? {}, onProgress: showReading(name) });
  const { kind, vocabulary, length, classes } = task;
  console.log(
    `${task.name}: ${kind}, ${vocabulary} ids, ${length} tokens${kind === "classify-pairs" ? " twice" : ""}, ${classes} classes`,
  );
  for (const [split, count] of Object.entries(task.examples)) {
    console.log(`  ${split.padEnd(10)} ${Number.isFinite(count) ? count.toLocaleString("en") : "without end"}`);
  }
  const some = Array.from({ length: Math.min(200, task.examples.test) }, (_, i) => task.example("test", i));
  const lengths = some.map(tokensOf).sort((a, b) => a - b);
  console.log(
    `  tokens of ${some.length} test examples: ${lengths[0]} to ${lengths.at(-1)}, median ${lengths[lengths.length >> 1]}`,
  );
  if (kind !== "label-tokens") {
    const counts = new Array<number>(classes).fill(0);
    for (const { labels } of some) counts[labels[0]]++;
    console.log(`  of each class: ${counts.join(" ")}`);
  }
  for (const example of some.slice(0, examples)) console.log(`\n${task.describe(example)}`);
  if (picture !== undefined) writePicture(task, some.slice(0, 16), picture);
}

function tokensOf({ tokens, mask }: Example): number {
  return mask ? mask.reduce((sum, kept) => sum + kept, 0) : tokens.length;
}

type Image = { readonly width: number; readonly height: number; readonly pixels: ArrayLike<number> };

/** Images side by side. */
function writePicture(task: Task, examples: readonly Example[], file: string): void {
  if (!("image" in task)) throw new TypeError(`data: expected a task of images for --picture, got ${task.name}`);
  const images = examples.map((example) => (task.image as (example: Example) => Image)(example));
  const [{ width, height }] = images;
  const columns = images.length * (width + 2);
  const pixels = new Uint8Array(columns * height);
  for (const [at, image] of images.entries()) {
    for (let i = 0; i < width * height; i++) {
      pixels[Math.floor(i / width) * columns + at * (width + 2) + (i % width)] = Math.round(255 * image.pixels[i]);
    }
  }
  writeFileSync(file, pngBytes(columns, pixels));
  console.log(`\n${file} has ${images.length} images`);
}
