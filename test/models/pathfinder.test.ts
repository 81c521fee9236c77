import assert from "node:assert/strict";
import { createHash } from "node:crypto";
import { test } from "node:test";
import { type Example, type ImageTask, pathfinder } from "@fmmformer/models";

const task = pathfinder({ train: 60, validation: 20, test: 40 });

/** Pixels above a grey, joined where they are at most `reach` apart. */
function components({ tokens }: Example, { length }: ImageTask, [above, reach]: [number, number]): Int32Array {
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

/** Where the two discs are white throughout. */
function discs({ tokens }: Example): number[] {
  return Array.from(tokens.keys()).filter((at) => tokens[at] === 255);
}

/** Whether ink that is darker than some grey leads from one disc to the other. */
function joined(example: Example, of: ImageTask, above: number): boolean {
  const paths = components(example, of, [above, 1.5]);
  return new Set(discs(example).map((at) => paths[at])).size === 1;
}

test("the discs are on one path exactly where the label says so: far apart, paths are what hangs together", () => {
  const apart = pathfinder({ side: 64, contourLength: 8, distractors: 0 });
  let told = 0;
  for (let index = 0; index < 120; index++) {
    const example = apart.example("test", index);
    const paths = Math.max(...components(example, apart, [0, 1.5]));
    assert.ok(paths === 1 || paths === 2, apart.describe(example));
    if (paths === 1) continue; // by chance near each other: what hangs together says nothing
    assert.equal(Number(joined(example, apart, 0)), example.labels[0], apart.describe(example));
    told++;
  }
  assert.ok(told > 100, `${told}`);
});

test("a path of 14 dashes can be followed from disc to disc among the others", () => {
  const followed = [0, 0];
  for (let index = 0; index < 40; index++) {
    const example = task.example("test", index);
    if (joined(example, task, 48)) followed[example.labels[0]]++;
  }
  assert.equal(followed[1], 20);
  assert.ok(followed[0] < 12, `${followed[0]} where no path leads: paths come near each other`);
});

test("the same seed draws the same bytes on every machine", () => {
  const drawn = createHash("sha256");
  for (let index = 0; index < 40; index++) drawn.update(Uint8Array.from(task.example("test", index).tokens));
  assert.equal(drawn.digest("hex").slice(0, 16), "b47aea4bbccbb0e5");
});

test("discs do not touch each other, whatever the label", () => {
  const many = pathfinder({ test: 400 });
  for (let index = 0; index < 400; index++) {
    const example = many.example("test", index);
    const white = { ...example, tokens: example.tokens.map((grey) => (grey > 0.76 * 255 ? 255 : 0)) };
    assert.equal(Math.max(...components(white, task, [0, 1.5])), 2, task.describe(example));
  }
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
