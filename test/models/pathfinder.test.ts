import assert from "node:assert/strict";
import { test } from "node:test";
import { type Example, type PathfinderTask, pathfinder } from "@fmmformer/models";

const task = pathfinder({ train: 60, validation: 20, test: 40 });

/** Pixels above a grey, joined where they are at most `reach` apart. */
function components({ tokens }: Example, { length }: PathfinderTask, [above, reach]: [number, number]): Int32Array {
  const side = Math.sqrt(length);
  const found = new Int32Array(length);
  const drawn = Array.from(tokens.keys()).filter((at) => tokens[at] > above);
  const [row, column] = [(at: number) => Math.floor(at / side), (at: number) => at % side];
  let count = 0;
  for (const start of drawn) {
    if (found[start] > 0) continue;
    found[start] = ++count;
    for (const open = [start]; open.length > 0; ) {
      const at = open.pop() as number;
      for (const other of drawn) {
        if (found[other] > 0 || Math.hypot(row(at) - row(other), column(at) - column(other)) > reach) continue;
        found[other] = count;
        open.push(other);
      }
    }
  }
  return found;
}

/** The middles of the two white discs. */
function discs({ tokens }: Example): number[] {
  const side = 32;
  const white = (at: number): boolean => at % side > 0 && at % side < side - 1 && tokens[at] === 255;
  return Array.from(tokens.keys()).filter((at) => white(at));
}

test("the discs are on one path exactly where the label says so", () => {
  let followed = 0;
  for (let index = 0; index < 40; index++) {
    const example = task.example("test", index);
    const joined = (above: number, reach: number): boolean => {
      const paths = components(example, task, [above, reach]);
      return new Set(discs(example).map((at) => paths[at])).size === 1;
    };
    // Dark pixels side by side are of one path; a gap between two dashes is faint.
    if (joined(96, 1)) assert.equal(example.labels[0], 1, task.describe(example));
    if (example.labels[0] === 1) followed += Number(joined(0, 1.5));
  }
  assert.equal(followed, 20);
});

test("an image has two discs, dashes below white, ground that is masked, and as many labels of each kind", () => {
  const labels = [0, 0];
  for (let index = 0; index < 20; index++) {
    const example = task.example("validation", index);
    labels[example.labels[0]]++;
    const { pixels } = task.image(example);
    assert.equal(pixels.length, 1024);
    assert.ok(discs(example).length >= 2);
    const grey = example.tokens.filter((token) => token > 0 && token <= 0.75 * 255 + 1);
    assert.ok(grey.length > 100);
    assert.deepEqual(
      Array.from(example.mask as Float32Array),
      Array.from(example.tokens, (token) => Number(token > 0)),
    );
  }
  assert.deepEqual(labels, [10, 10]);
});

test("images are a function of seed, split and place; training images come in another order every epoch", () => {
  const seen = (split: "train" | "test", from: number, count: number, made = task): string[] =>
    Array.from({ length: count }, (_, i) => made.example(split, from + i).tokens.join());
  const [first, second] = [seen("train", 0, 60), seen("train", 60, 60)];
  assert.equal(new Set(first).size, 60);
  assert.deepEqual(new Set(first), new Set(second));
  assert.notDeepEqual(first, second);
  assert.ok(seen("test", 0, 40).every((image) => !first.includes(image)));
  assert.deepEqual(seen("test", 7, 2), seen("test", 7, 2, pathfinder({ train: 60, validation: 20, test: 40 })));
  assert.notDeepEqual(
    seen("test", 7, 2),
    seen("test", 7, 2, pathfinder({ train: 60, validation: 20, test: 40, seed: 1 })),
  );
});

test("paths that do not fit are refused with a remedy", () => {
  const crowded = pathfinder({ side: 10, contourLength: 14 });
  assert.throws(
    () => crowded.example("test", 0),
    /^RangeError: pathfinder: expected paths of 14, 14, 4, 4, 4, 4, 4 dashes to fit in 10 × 10/,
  );
  assert.throws(() => pathfinder({ sides: 3 } as never), /^TypeError: pathfinder: .*side/);
});
